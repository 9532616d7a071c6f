#include "plan_flags.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/number_list.h"
#include "hardware_flags.h"
#include "model/enum_names.h"
#include "runtime/model_session.h"

namespace mfa {
namespace {

std::vector<int64_t> list_of(const std::string& text, std::string_view flag) {
  return text.empty() ? std::vector<int64_t>{} : parse_number_list(text, flag);
}

// "2..4", or one number for both ends.
void parse_ratio(const std::string& text, double& low, double& high) {
  const auto number = [&](std::string_view part) {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || !(value > 0 && value <= 1000))
      bad_input("[usage] --ffn-ratio, got {}, expected a range such as 2..4", text);
    return value;
  };
  const size_t dots = text.find("..");
  low = number(std::string_view(text).substr(0, dots));
  high = dots == std::string::npos ? low : number(std::string_view(text).substr(dots + 2));
}

size_t index_of(std::span<const std::string_view> names, const std::string& name, std::string_view flag) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) bad_input("[usage] {}, got {}, expected {}", flag, name, fmt::join(names, ", "));
  return static_cast<size_t>(found - names.begin());
}

constexpr std::array<std::string_view, kObjectives> kObjectiveNames = {"ter", "slsd", "cost", "kv", "parameters"};

// One size gives way: the first of FFN, heads and width that is neither held nor given.
GivesWay gives_way(const std::vector<std::string>& hold, bool ffn_given, bool heads_given, bool width_given) {
  constexpr std::array<std::string_view, 3> kSizes = {"ffn", "heads", "width"};
  std::array<bool, 3> held = {ffn_given, heads_given, width_given};
  if (!hold.empty()) held = {};
  for (const std::string& name : hold) held[index_of(kSizes, name, "--hold")] = true;
  const auto open = std::find(held.begin(), held.end(), false);
  return static_cast<GivesWay>(open - held.begin());
}

void parse_pick(const std::string& text, PlanRequest& request) {
  constexpr std::array<std::string_view, 6> kRules = {"ter", "slsd", "cost", "kv", "parameters", "balanced"};
  if (const auto rule = std::find(kRules.begin(), kRules.end(), text); rule != kRules.end()) {
    request.pick = static_cast<PickRule>(rule - kRules.begin());
    return;
  }
  request.pick = PickRule::row;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), request.pick_row);
  if (error != std::errc() || end != text.data() + text.size())
    bad_input("[usage] --pick, got {}, expected {} or the number of a row", text, fmt::join(kRules, ", "));
}

}  // namespace

void PlanFlags::add_to(CLI::App& app) {
  add_givens(app);
  add_search(app);
  add_choice(app);
  add_shape(app);
}

void PlanFlags::add_givens(CLI::App& app) {
  const auto count = [&](const char* flag, int64_t& value, int64_t low, int64_t high, const char* help) {
    app.add_option(flag, value, help)->check(CLI::Range(low, high))->capture_default_str()->group("Given");
  };
  const auto text = [&](const char* flag, std::string& value, const char* help) {
    return app.add_option(flag, value, help)->capture_default_str()->group("Given");
  };
  text("--width", width_, "Model width, or several (default with --parameters: searched)")->type_name("LIST");
  text("--parameters", parameters_,
       "Parameters to meet: 1.2B, or mha for those of that preset at --width (default: free)")
      ->type_name("COUNT");
  app.add_option("--layers", shape_.layers, "Layers")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str()
      ->group("Given");
  count("--kv-bytes", request_.kv_bytes, 0, int64_t{1} << 40, "Most bytes a token may leave in the cache (0: free)");
  text("--context", context_, "Tokens that a decoded token sees, or several: the cost is their mean")
      ->type_name("LIST");
  count("--batch", request_.batch, 1, 1 << 20, "Sequences decoded together");
  text("--hardware", hardware_, "A row of the hardware table");
  text("--hardware-file", hardware_file_, "A table of your own (default: ~/.config/mfa/hardware.json)")
      ->type_name("FILE");
  app.add_option("--cards", cards_, "So many of the hardware work as one, without loss")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str()
      ->group("Given");
  text("--kv", kv_, "Type of the cache: bf16, f32 or int8");
  text("--weights", weights_, "What weights are stored and multiplied in: f32, bf16 or int8");
  count("--min-ter", request_.least_ter, 0, int64_t{1} << 40, "Least total effective rank of a layer");
  count("--min-slsd", request_.least_slsd, 0, int64_t{1} << 40, "Least shared latent subspace dim of a layer");
}

void PlanFlags::add_search(CLI::App& app) {
  app.add_option("--variants", variants_, "Variants to search; fpba only when named here")
      ->delimiter(',')
      ->capture_default_str()
      ->group("Search");
  app.add_option("--hold", hold_,
                 "With --parameters: of ffn, heads, width those that stay as they are given or searched; the first of "
                 "the others gives way (default: the FFN does)")
      ->delimiter(',')
      ->group("Search");
  const auto list = [&](const char* flag, std::string& value, const char* help) {
    app.add_option(flag, value, help)->type_name("LIST")->group("Search");
  };
  list("--heads", heads_, "Query heads: 8, or 8,16, or 8..64:8 (default: a grid)");
  list("--kv-heads", kv_heads_, "gqa: key/value heads (default: all divisors of the heads)");
  list("--head-dim", head_dim_, "Dims of a head; of mfa and mfa-kr this is C (default: a grid)");
  list("--q-rank", q_rank_, "mfa, mfa-kr, mla: rank of the query path (default: a grid)");
  list("--kv-rank", kv_rank_, "mla: numbers of the cached latent (default: a grid)");
  list("--rope-dim", rope_dim_, "mla: rotary dims beside the latent (default: a grid)");
  list("--ffn", ffn_, "Inner width of the feed-forward layers (default: 8/3 of the width, or what parameters leave)");
  app.add_option("--ffn-ratio", ffn_ratio_, "Bounds of an FFN that gives way, in widths")
      ->type_name("LOW..HIGH")
      ->capture_default_str()
      ->group("Search");
  app.add_option("--tolerance", request_.tolerance, "Share by which the parameters may be missed")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str()
      ->group("Search");
  app.add_option("--grid", grid_, "default, or full: some ten times as many specs")
      ->capture_default_str()
      ->group("Search");
}

void PlanFlags::add_choice(CLI::App& app) {
  app.add_option("--objectives", objectives_,
                 "What specs are compared in, of ter, slsd, cost, kv, parameters (default: all that is not held)")
      ->delimiter(',')
      ->group("Choice");
  app.add_option("--resolution", request_.resolution, "Costs, or parameters, nearer than this share count as equal")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group("Choice");
  app.add_option("--pick", pick_,
                 "Which of the front to take: most ter or slsd, least cost, kv or parameters, balanced, "
                 "or the number of a row")
      ->capture_default_str()
      ->group("Choice");
}

void PlanFlags::add_shape(CLI::App& app) {
  const auto size = [&](const char* flag, int64_t& value, int64_t low, const char* help) {
    app.add_option(flag, value, help)
        ->check(CLI::Range(low, int64_t{1} << 26))
        ->capture_default_str()
        ->group("What all specs share");
  };
  const auto text = [&](const char* flag, std::string& value, const char* help) {
    app.add_option(flag, value, help)->capture_default_str()->group("What all specs share");
  };
  const auto flag = [&](const char* name, bool& value, const char* help) {
    app.add_flag(name, value, help)->group("What all specs share");
  };
  size("--vocab", shape_.vocab, 2, "Vocabulary");
  size("--train-context", train_context_, 0, "Training window in the written config (0: the longest --context)");
  size("--window", shape_.window, 0, "Sliding window, tokens a token sees (0: all)");
  size("--share-cache", shape_.share_cache, 1, "Every n layers share one cache");
  text("--position", position_, "rope, alibi or none");
  app.add_option("--rope-theta", shape_.rope.theta, "Base of RoPE")
      ->capture_default_str()
      ->group("What all specs share");
  text("--norm", norm_, "rms or layer");
  text("--reuse", reuse_, "mfa-kr: identity, map, residual or gated");
  text("--reuse-at", reuse_at_, "mfa-kr: value from the key before_rope or after_rope");
  flag("--q-norm", shape_.q_norm, "mfa, mfa-kr: RMSNorm on the query latent, as Step-3 has");
  flag("--qk-norm", shape_.qk_norm, "RMSNorm of every q and k head (not mla, fpba)");
  flag("--qkv-bias", shape_.qkv_bias, "Biases on q, k, v (not of low-rank queries)");
  flag("--o-bias", shape_.o_bias, "Bias on the attention output");
  flag("--ffn-bias", shape_.ffn_bias, "Biases in the feed-forward layers");
  flag("--untied", untied_, "A classifier of its own, not the embedding");
}

PresetOptions PlanFlags::shape(const PlanRequest& request) const {
  PresetOptions o = shape_;
  o.position = parse_enum<PositionKind>(position_, "--position");
  o.norm = parse_enum<ModelNorm>(norm_, "--norm");
  o.reuse = parse_enum<KeyReuse>(reuse_, "--reuse");
  o.reuse_at = parse_enum<ReuseAt>(reuse_at_, "--reuse-at");
  o.tied = !untied_;
  o.context = train_context_ > 0 ? train_context_ : longest_context(request);
  return o;
}

Hardware PlanFlags::hardware(DType weights) const {
  const Hardware row = find_hardware(load_hardware(hardware_file_), hardware_);
  if (row.flops(8 * static_cast<int64_t>(size_of(weights))) == 0)
    bad_input("[plan] the table has no arithmetic of {} for {}, expected its FLOPs", weights_, row.name);
  return cards_ > 1 ? several(row, cards_) : row;
}

void PlanFlags::set_parameters(PlanRequest& request) const {
  request.gives_way = gives_way(hold_, !ffn_.empty(), !heads_.empty(), !width_.empty());
  if (parameters_.empty()) {
    if (!hold_.empty()) bad_input("[usage] --hold, got {} without --parameters, expected both", fmt::join(hold_, ","));
    return;
  }
  if (parameters_ == "mha") {
    if (request.widths.size() != 1)
      bad_input("[usage] --parameters mha takes one --width, got {}", request.widths.size());
    PresetOptions shape = request.shape;
    shape.width = request.widths.front();
    request.parameters = parameter_count(make_preset("mha", shape));
  } else {
    request.parameters = parse_count(parameters_, "--parameters");
    if (request.parameters == 0) bad_input("[usage] --parameters, got 0, expected a positive count");
  }
}

PlanRequest PlanFlags::request() const {
  PlanRequest r = request_;
  for (const std::string& name : variants_) r.variants.push_back(parse_variant(name));
  r.widths = list_of(width_, "--width");
  r.ffns = list_of(ffn_, "--ffn");
  r.grid.heads = list_of(heads_, "--heads");
  r.grid.kv_heads = list_of(kv_heads_, "--kv-heads");
  r.grid.head_dim = list_of(head_dim_, "--head-dim");
  r.grid.q_rank = list_of(q_rank_, "--q-rank");
  r.grid.kv_rank = list_of(kv_rank_, "--kv-rank");
  r.grid.rope_dim = list_of(rope_dim_, "--rope-dim");
  constexpr std::array<std::string_view, 2> kGrids = {"default", "full"};
  r.grid.full = index_of(kGrids, grid_, "--grid") == 1;
  r.contexts = list_of(context_, "--context");
  r.kv_type = parse_kv(kv_, DType::bf16);
  r.weights = parse_weights(weights_);
  r.hardware = hardware(r.weights);
  parse_ratio(ffn_ratio_, r.least_ffn, r.most_ffn);
  parse_pick(pick_, r);
  if (r.contexts.empty()) bad_input("[usage] --context names none, expected at least one");
  r.shape = shape(r);
  set_parameters(r);
  if (objectives_.empty()) {
    r.compared[static_cast<size_t>(Objective::parameters)] = r.parameters == 0;  // held: equal but for rounding
  } else {
    r.compared = {};
    for (const std::string& name : objectives_) r.compared[index_of(kObjectiveNames, name, "--objectives")] = true;
  }
  return r;
}

}  // namespace mfa
