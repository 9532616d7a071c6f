#include "predicted_decode.h"

#include <fmt/format.h>

#include "base/text_table.h"
#include "capacity/decode_time.h"

namespace mfa {
namespace {

// The engine keeps weights as f32 or bf16.
DecodeRun run_of(const CapacityRow& row, DType kv, const HardwareQuestion& question) {
  return {.context = row.context,
          .batch = question.batch.value_or(1),
          .weights = question.weights == DType::f32 ? DType::f32 : DType::bf16,
          .kv = kv};
}

template <class Visit>
void visit_predictions(const PredictedModel& subject, DType kv, const HardwareQuestion& question, const Visit& visit) {
  if (!subject.model || !subject.model->runs) return;
  const DecodeRun run = run_of(subject.row, kv, question);
  for (const Hardware& hardware : question.hardware)
    if (hardware.decode.threads > 0) visit(hardware, run, decode_time(*subject.model, run, hardware));
}

}  // namespace

nlohmann::ordered_json predicted_decode_json(const PredictedModel& subject, DType kv,
                                             const HardwareQuestion& question) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  visit_predictions(subject, kv, question, [&](const Hardware& hardware, const DecodeRun& run, const DecodeTime& time) {
    list.push_back({{"hardware", hardware.name},
                    {"batch", run.batch},
                    {"weights", name_of(run.weights)},
                    {"seconds", time.seconds()},
                    {"products_seconds", time.products},
                    {"attention_seconds", time.attention},
                    {"vectors_seconds", time.vectors},
                    {"tokens_per_s", static_cast<double>(run.batch) / time.seconds()}});
  });
  return list;
}

std::string predicted_decode_table(std::span<const PredictedModel> subjects, DType kv,
                                   const HardwareQuestion& question) {
  TextTable table;
  for (const char* title : {"name", "attention", "hardware"}) table.add_column(title, TextTable::Align::left);
  for (const char* title : {"batch", "weights", "ms a step", "products", "attention", "the rest", "tokens/s"})
    table.add_column(title);
  bool any = false;
  const auto ms = [](double seconds) { return fmt::format("{:.2f}", seconds * 1e3); };
  for (const PredictedModel& subject : subjects)
    visit_predictions(
        subject, kv, question, [&](const Hardware& hardware, const DecodeRun& run, const DecodeTime& time) {
          any = true;
          table.add_row({subject.row.name, subject.row.attention, hardware.name, grouped(run.batch),
                         std::string(name_of(run.weights)), ms(time.seconds()), ms(time.products), ms(time.attention),
                         ms(time.vectors), human_number(static_cast<double>(run.batch) / time.seconds())});
        });
  return any ? "Predicted time of a decoded token that sees T tokens, from measured operations:\n" + table.render()
             : "";
}

}  // namespace mfa
