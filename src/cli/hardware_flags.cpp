#include "hardware_flags.h"

#include "base/error.h"

namespace mfa {

DType parse_weights(const std::string& text) {
  if (text == "f32") return DType::f32;
  if (text == "bf16") return DType::bf16;
  if (text == "int8") return DType::i8;
  bad_input("[usage] --weights, got {}, expected f32, bf16 or int8", text);
}

void HardwareFlags::add_to(CLI::App& app) {
  const char* group = "Hardware";
  app.add_option("--hardware", names, "Rows of the hardware table, such as H800,H20; all: every one")
      ->delimiter(',')
      ->type_name("NAME,...")
      ->group(group);
  app.add_option("--hardware-file", file,
                 "Table of hardware that adds to and replaces built-in rows (default: ~/.config/mfa/hardware.json)")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--weights", weights, "What weights are stored and multiplied in: f32, bf16 or int8")
      ->capture_default_str()
      ->group(group);
  app.add_option("--memory", memory, "Memory for weights and caches, such as 24GiB (default: the hardware's own)")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("SIZE")
      ->group(group);
  app.add_option("--cards", cards, "So many of each machine work as one, without loss")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str()
      ->group(group);
  app.add_option("--batch", batch, "Sequences that decode together (0: as many as fit)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str()
      ->group(group);
}

std::vector<Hardware> HardwareFlags::rows() const {
  std::vector<Hardware> rows = load_hardware(file);
  if (!names.empty() && (names.size() != 1 || names[0] != "all")) {
    std::vector<Hardware> named;
    for (const std::string& name : names) named.push_back(find_hardware(rows, name));
    rows = std::move(named);
  }
  if (cards > 1)
    for (Hardware& row : rows) row = several(row, cards);
  return rows;
}

HardwareQuestion HardwareFlags::question() const {
  HardwareQuestion question;
  question.hardware = rows();
  question.weights = parse_weights(weights);
  if (memory > 0) question.memory = static_cast<double>(memory);
  if (batch > 0) question.batch = batch;
  return question;
}

}  // namespace mfa
