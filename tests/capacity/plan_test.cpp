// The planner: its front against the definition, its figures against mfa capacity, its errors.
#include "capacity/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "capacity/capacity.h"
#include "capacity/cost.h"
#include "capacity/plan_count.h"
#include "capacity/plan_order.h"
#include "capacity/plan_request.h"

namespace mfa {
namespace {

std::string message_of(const PlanRequest& request) {
  try {
    make_plan(request);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "no error";
}

// Specs that no other beats, straight from the definition, O(n²). Of equal ones the first in the front's order.
std::vector<PlanSpec> brute_force(const Plan& plan, const PlanRequest& request) {
  std::vector<PlanSpec> front;
  for (const PlannedSpec& a : plan.specs) {
    const Objectives own = objectives_of(a.figures, request);
    const bool lost = std::any_of(plan.specs.begin(), plan.specs.end(), [&](const PlannedSpec& b) {
      const Objectives other = objectives_of(b.figures, request);
      return dominates(other, own) || (other == own && preferred(b, a));
    });
    if (!lost) front.push_back(a.spec);
  }
  return front;
}

std::vector<PlanSpec> specs_of(const std::vector<PlannedSpec>& planned) {
  std::vector<PlanSpec> specs;
  for (const PlannedSpec& p : planned) specs.push_back(p.spec);
  return specs;
}

TEST(PlanFront, EqualsBruteForceOnGrids) {
  for (const int64_t parameters : {0, 1000000}) {
    for (const double resolution : {0.0, 0.01, 0.2}) {
      PlanRequest r = small_request();
      r.parameters = parameters;
      r.resolution = resolution;
      r.compared[static_cast<size_t>(Objective::parameters)] = parameters == 0;
      if (parameters > 0) r.variants.pop_back();
      const Plan plan = make_plan(r);
      EXPECT_GT(plan.specs.size(), 300u);
      EXPECT_EQ(specs_of(plan.front), brute_force(plan, r)) << parameters << " parameters, resolution " << resolution;
    }
  }
}

TEST(PlanFront, EqualsBruteForceInEachPairOfObjectives) {
  PlanRequest r = small_request();
  r.widths = {128};
  for (size_t small = 2; small < kObjectives; ++small) {
    r.compared = {true, false, false, false, false};
    r.compared[small] = true;
    const Plan plan = make_plan(r);
    EXPECT_EQ(specs_of(plan.front), brute_force(plan, r)) << "TER against objective " << small;
  }
}

// The full grid is too long for every pair; every spec against the front is enough, and the front against itself.
TEST(PlanFront, OfTheFullGridBeatsEverySpecThatIsNotOnIt) {
  PlanRequest r = paper_request();
  r.grid.full = true;
  const Plan plan = make_plan(r);
  EXPECT_GE(plan.counted, 100000);
  std::vector<Objectives> front;
  for (const PlannedSpec& p : plan.front) front.push_back(objectives_of(p.figures, r));
  for (size_t i = 0; i < front.size(); ++i)
    for (size_t j = 0; j < front.size(); ++j)
      ASSERT_TRUE(i == j || !at_least_as_good(front[i], front[j])) << i << " " << j;
  size_t beaten = 0;
  for (const PlannedSpec& p : plan.specs) {
    const Objectives own = objectives_of(p.figures, r);
    const auto beats = [&](const Objectives& other) { return at_least_as_good(other, own); };
    if (std::any_of(front.begin(), front.end(), beats)) ++beaten;
  }
  EXPECT_EQ(beaten, plan.specs.size());
}

TEST(PlanGrid, MakesEachSpecOnceAndOnlyValidOnes) {
  PlanRequest r = small_request();
  r.variants.push_back(Variant::fpba);
  r.widths = {128};
  r.grid.full = true;
  r.hardware.memory_bytes = 0;
  const Plan plan = make_plan(r);
  std::set<PlanSpec> seen;
  for (const PlannedSpec& p : plan.specs) {
    EXPECT_TRUE(seen.insert(p.spec).second);
    EXPECT_NO_THROW(plan_config(p.spec, r.shape));  // validates
  }
  EXPECT_EQ(static_cast<int64_t>(seen.size()), plan.counted);
}

// Every figure of the planner is the one that mfa capacity gives for the config it would write. All are sums of whole
// numbers below 2^53, hence equal whatever the order; the seconds are computed from equal numbers by one function.
void expect_figures_of_capacity(const PlannedSpec& p, const PlanRequest& r) {
  const ModelConfig config = plan_config(p.spec, r.shape);
  double seconds = 0;
  for (const int64_t context : r.contexts) {
    const CapacityRow row = capacity_of(config, "", {.context = context, .kv_type = r.kv_type});
    EXPECT_EQ(p.figures.parameters, row.parameters);
    EXPECT_EQ(p.figures.parameters, parameter_count(config));
    EXPECT_EQ(p.figures.kv_bytes, row.kv_bytes_per_token);
    EXPECT_EQ(static_cast<double>(p.figures.ter), row.ter.mean);
    EXPECT_EQ(static_cast<double>(p.figures.slsd), row.slsd.mean);
    seconds += decode_step(row, r.hardware, r.weights, r.batch).seconds / static_cast<double>(r.batch);
  }
  EXPECT_EQ(p.figures.seconds, seconds / static_cast<double>(r.contexts.size()));
}

TEST(PlanFigures, AreThoseOfCapacity) {
  std::vector<PlanRequest> requests(5, small_request());
  requests[1].shape.share_cache = 2;
  requests[1].kv_type = DType::i8;
  requests[2].shape.position = PositionKind::alibi;
  requests[2].shape.norm = ModelNorm::layer;
  requests[2].shape.ffn_bias = requests[2].shape.o_bias = true;
  requests[2].shape.qk_norm = true;
  requests[3].shape.q_norm = true;
  requests[3].shape.tied = false;
  requests[3].shape.window = 100;
  requests[3].shape.reuse = KeyReuse::residual;
  requests[3].contexts = {64, 1000, 70000};
  requests[4].variants.push_back(Variant::fpba);
  requests[4].weights = DType::i8;
  requests[4].shape.reuse_at = ReuseAt::after_rope;
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Plan plan = make_plan(requests[i]);
    // Every seventh spec, so that all variants and sizes come by; and what would be written.
    for (size_t at = 0; at < plan.specs.size(); at += 7) expect_figures_of_capacity(plan.specs[at], requests[i]);
    expect_figures_of_capacity(plan.front[plan.chosen], requests[i]);
    if (HasFailure()) return;
  }
}

TEST(PlanFit, MeetsTheParametersWhateverGivesWay) {
  for (const GivesWay way : {GivesWay::ffn, GivesWay::heads, GivesWay::width}) {
    PlanRequest r = paper_request();
    r.parameters = 1000000000;
    r.gives_way = way;
    if (way == GivesWay::width) r.widths.clear();
    const Plan plan = make_plan(r);
    std::set<Variant> variants;
    for (const PlannedSpec& p : plan.specs) {
      EXPECT_LE(std::abs(static_cast<double>(p.figures.parameters) / 1e9 - 1), r.tolerance);
      variants.insert(p.spec.variant);
      if (way == GivesWay::heads) {
        EXPECT_EQ(p.spec.ffn, default_ffn(p.spec.width));
      }
      if (way != GivesWay::width) {
        EXPECT_EQ(p.spec.width, 2048);
      }
    }
    EXPECT_EQ(variants.size(), 6u);
  }
}

// Of all multiples of eight, the FFN's inner width is the one that comes nearest.
TEST(PlanFit, ComesAsNearAsItCan) {
  PlanRequest r = paper_request();
  r.parameters = 1000000000;
  SpecCounter counter(r);
  const Plan plan = make_plan(r);
  for (size_t i = 0; i < plan.specs.size(); i += 11) {
    const PlanSpec& spec = plan.specs[i].spec;
    if (spec.ffn <= 2 * spec.width || spec.ffn >= 4 * spec.width) continue;  // at a bound it may go no further
    const int64_t miss = std::abs(plan.specs[i].figures.parameters - r.parameters);
    for (const int32_t step : {-8, 8}) {
      PlanSpec neighbour = plan.specs[i].spec;
      neighbour.ffn += step;
      EXPECT_LE(miss, std::abs(counter.parameters(neighbour) - r.parameters));
    }
  }
}

TEST(PlanFit, SearchesWidths) {
  PlanRequest r = paper_request();
  r.widths.clear();
  r.parameters = 1000000000;
  const Plan plan = make_plan(r);
  std::set<int32_t> widths;
  for (const PlannedSpec& p : plan.specs) {
    widths.insert(p.spec.width);
    EXPECT_GE(p.spec.ffn, 2 * p.spec.width - 8);
    EXPECT_LE(p.spec.ffn, 4 * p.spec.width);
  }
  EXPECT_GT(widths.size(), 3u);
}

TEST(PlanPick, TakesWhatItSays) {
  PlanRequest r = paper_request();
  r.kv_bytes = 41000;
  r.least_ter = 2048;
  const auto pick = [&](PickRule rule) {
    r.pick = rule;
    const Plan plan = make_plan(r);
    return plan.front[plan.chosen].figures;
  };
  const PlanFigures ter = pick(PickRule::ter), slsd = pick(PickRule::slsd), kv = pick(PickRule::kv),
                    cost = pick(PickRule::cost), parameters = pick(PickRule::parameters);
  Plan plan = make_plan(r);
  for (const PlannedSpec& p : plan.front) {
    EXPECT_LE(p.figures.ter, ter.ter);
    EXPECT_LE(p.figures.slsd, slsd.slsd);
    EXPECT_GE(p.figures.kv_bytes, kv.kv_bytes);
    // Within one cell of the resolution the one with more rank is taken.
    EXPECT_GE(p.figures.seconds * 1.01, cost.seconds);
    EXPECT_GE(static_cast<double>(p.figures.parameters) * 1.01, static_cast<double>(parameters.parameters));
  }
  r.pick = PickRule::row;
  r.pick_row = plan.front.size();
  plan = make_plan(r);
  EXPECT_EQ(plan.chosen, plan.front.size() - 1);
  ++r.pick_row;
  EXPECT_NE(message_of(r).find("--pick, got row"), std::string::npos);
}

// At the paper's width and parameters, under the paper's cache, multi-matrix factorization reaches the most rank.
TEST(PlanChoice, OfThePapersBudgetIsMfa) {
  PlanRequest r = paper_request();
  PresetOptions mha = r.shape;
  mha.width = 2048;
  r.parameters = parameter_count(make_preset("mha", mha));
  r.kv_bytes = 20480;
  const Plan plan = make_plan(r);
  const PlanSpec& chosen = plan.front[plan.chosen].spec;
  EXPECT_TRUE(chosen.variant == Variant::mfa || chosen.variant == Variant::mfa_kr) << sizes_text(chosen);
  // One MHA head of 256 dims fits too; what beats it must keep the bounds and be at least as good in everything.
  const VariantOutcome& lost = plan.outcomes.front();
  EXPECT_EQ(lost.variant, Variant::mha);
  EXPECT_EQ(lost.on_front, 0);
  ASSERT_TRUE(lost.best && lost.beaten_by);
  EXPECT_TRUE(dominates(objectives_of(lost.beaten_by->figures, r), objectives_of(lost.best->figures, r)));
}

TEST(PlanErrors, NameTheBoundAndTheNearest) {
  PlanRequest r = paper_request();
  r.kv_bytes = 100;  // the narrowest head of the grid: 32 dims in 20 layers, two bytes each
  EXPECT_NE(message_of(r).find("the smallest cache is 1,280 B a token, over --kv-bytes 100 (mfa-kr, "),
            std::string::npos)
      << message_of(r);
  r = paper_request();
  r.batch = 1000000;
  EXPECT_NE(message_of(r).find("the least memory is"), std::string::npos) << message_of(r);
  r = paper_request();
  r.parameters = 10000000000;
  EXPECT_NE(message_of(r).find("the nearest to 10,000,000,000 parameters"), std::string::npos) << message_of(r);
  r = paper_request();
  r.least_ter = 1000000;
  EXPECT_NE(message_of(r).find("under --min-ter 1,000,000"), std::string::npos) << message_of(r);
  r = paper_request();
  r.hardware.memory_bytes = 0;
  r.least_slsd = 4096;  // no variant's keys live in more dims than the model has
  EXPECT_NE(message_of(r).find("the highest SLSD is 2,048, under --min-slsd 4,096"), std::string::npos)
      << message_of(r);
}

TEST(PlanErrors, OfRequestsThatCannotBe) {
  const auto refused = [](auto change) {
    PlanRequest r = paper_request();
    change(r);
    EXPECT_EQ(message_of(r).rfind("[plan]", 0), 0u) << message_of(r);
  };
  refused([](PlanRequest& r) { r.widths.clear(); });
  refused([](PlanRequest& r) { r.variants.clear(); });
  refused([](PlanRequest& r) { r.contexts.clear(); });
  refused([](PlanRequest& r) { r.contexts = {0}; });
  refused([](PlanRequest& r) { r.grid.head_dim = {63}; });
  refused([](PlanRequest& r) { r.grid.heads = {0}; });
  refused([](PlanRequest& r) { r.compared = {}; });
  refused([](PlanRequest& r) { r.least_ffn = 5; });
  refused([](PlanRequest& r) { r.widths = {int64_t{1} << 40}; });
  refused([](PlanRequest& r) {
    r.parameters = 1000;
    r.gives_way = GivesWay::width;
  });
  // Sizes whose product overflows are refused as too many parameters, not counted wrongly.
  refused([](PlanRequest& r) {
    r.widths = {1 << 20};
    r.shape.layers = 100000;
    r.grid.heads = {1 << 20};
    r.grid.head_dim = {1 << 20};
  });
}

}  // namespace
}  // namespace mfa
