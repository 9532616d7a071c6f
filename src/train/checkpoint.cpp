#include "train/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "formats/safetensors.h"

namespace mfa {
namespace {

// Under the manifest's checksums; what else makes the folder a model stands beside them.
std::array<std::string, 3> checked_files(const RunModel& model) {
  return {std::string(model.weights_file()), "optimizer.safetensors", "trainer.json"};
}

fs::path folder_of_step(const fs::path& run, int64_t step) { return run / ("step-" + std::to_string(step)); }

std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with("step-")) return std::nullopt;
  int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0) return std::nullopt;
  return step;
}

void write_moments(const fs::path& file, Optimizer& optimizer) {
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const auto& [prefix, store] :
       {std::pair("m.", &optimizer.first_moment()), std::pair("v.", &optimizer.second_moment())})
    for (const ParameterSpec& spec : store->table()) {
      values.push_back(store->download(spec));
      tensors.push_back(
          {prefix + spec.name, DType::f32, {spec.rows, spec.cols}, std::as_bytes(std::span(values.back()))});
    }
  write_safetensors(file, tensors);
}

void read_moments(const SafetensorsReader& reader, Optimizer& optimizer) {
  for (const auto& [prefix, store] :
       {std::pair("m.", &optimizer.first_moment()), std::pair("v.", &optimizer.second_moment())})
    for (const ParameterSpec& spec : store->table()) {
      const std::vector<int64_t> shape = {spec.rows, spec.cols};
      std::vector<float> values(static_cast<size_t>(spec.size()));
      to_f32(reader.get(prefix + spec.name, shape), values);
      store->upload(spec, values);
    }
}

std::string checksum_line(const fs::path& folder, const std::string& name) {
  return checksum(MappedFile(folder / name).bytes()) + "  " + name + "\n";
}

// The length of "32 hexadecimal digits, two spaces, name, line feed".
size_t line_length(std::string_view name) { return 32 + 2 + name.size() + 1; }

void verify(const fs::path& folder, const RunModel& model) {
  const std::string advice = fmt::format("Delete {} to resume from the one before", folder.string());
  const std::string manifest = read_file(folder / "MANIFEST");
  std::string_view left = manifest;
  for (const std::string& name : checked_files(model)) {
    const std::string_view line = left.substr(0, line_length(name));
    const bool well_formed = line.size() == line_length(name) && line.substr(32) == "  " + name + "\n" &&
                             line.substr(0, 32).find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (!well_formed)
      bad_input("[checkpoint] {} is damaged: no checksum of {}. {}", (folder / "MANIFEST").string(), name, advice);
    if (!path_exists(folder / name)) bad_input("[checkpoint] {} is missing. {}", (folder / name).string(), advice);
    if (line != checksum_line(folder, name))
      bad_input("[checkpoint] {} is damaged: its checksum is not the one in {}. {}", (folder / name).string(),
                (folder / "MANIFEST").string(), advice);
    left.remove_prefix(line.size());
  }
  if (!left.empty())
    bad_input("[checkpoint] {} is damaged: more than its three lines. {}", (folder / "MANIFEST").string(), advice);
}

}  // namespace

void write_checkpoint(const fs::path& run, int64_t step, const RunModel& model, Optimizer& optimizer,
                      const Json& trainer) {
  const fs::path folder = folder_of_step(run, step);
  std::error_code ignored;
  // What a killed process left there goes. The manifest goes first: without it the folder is no checkpoint.
  fs::remove(folder / "MANIFEST", ignored);
  fs::remove_all(folder, ignored);
  make_folder(folder);
  model.write_weights(folder);
  write_moments(folder / "optimizer.safetensors", optimizer);
  write_file(folder / "trainer.json", trainer.dump(2) + "\n");
  model.write_rest(folder);
  std::string manifest;
  for (const std::string& name : checked_files(model)) manifest += checksum_line(folder, name);
  write_file(folder / "MANIFEST", manifest);
  sync_folder(run);  // the checkpoint's own entry must be on disk before older ones are deleted
}

std::vector<int64_t> checkpoint_steps(const fs::path& run) {
  std::vector<int64_t> steps;
  if (!is_folder(run)) return steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(run))
    if (const auto step = step_of(entry.path()); step && path_exists(entry.path() / "MANIFEST")) steps.push_back(*step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

Json read_checkpoint(const fs::path& run, int64_t step, const RunModel& model, Optimizer& optimizer) {
  const fs::path folder = folder_of_step(run, step);
  verify(folder, model);
  model.read_weights(folder);
  read_moments(SafetensorsReader(folder / "optimizer.safetensors"), optimizer);
  return parse_json(read_file(folder / "trainer.json"), (folder / "trainer.json").string());
}

namespace {

// Nothing but files that a checkpoint has, whole or half-written: ours to delete.
bool is_ours(const fs::path& folder) {
  constexpr std::string_view names[] = {"optimizer.safetensors", "trainer.json", "MANIFEST"};
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (is_temporary(name)) name.resize(name.rfind(".tmp"));
    const bool known = is_model_file(name) || std::find(std::begin(names), std::end(names), name) != std::end(names);
    if (!known || !entry.is_regular_file()) return false;
  }
  return true;
}

}  // namespace

void prune_checkpoints(const fs::path& run, int64_t keep, int64_t best) {
  std::vector<int64_t> steps = checkpoint_steps(run);
  const int64_t newest = steps.empty() ? -1 : steps.back();
  const auto kept = [&](int64_t step) {
    const auto place = std::find(steps.begin(), steps.end(), step);
    return place != steps.end() && (steps.end() - place <= keep || step == best);
  };
  std::vector<fs::path> doomed;
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    const auto step = step_of(entry.path());
    // A folder beyond the newest whole checkpoint is one that was cut short.
    if (step && !kept(*step) && *step != newest && entry.is_directory() && is_ours(entry.path()))
      doomed.push_back(entry.path());
    if (!step && entry.is_regular_file() && is_temporary(entry.path().filename().string()))
      doomed.push_back(entry.path());
  }
  for (const fs::path& path : doomed) {
    std::error_code ignored;
    fs::remove(path / "MANIFEST", ignored);  // first: a half-deleted folder must not look whole
    fs::remove_all(path, ignored);
  }
}

}  // namespace mfa
