// Attention over the paged cache: right, and the same to the last bit alone, in company and in pieces.
#include <gtest/gtest.h>

#include "base/thread_team.h"
#include "kernels/devices_under_test.h"
#include "kernels/paged_session.h"

namespace mfa {
namespace {

using Piece = PagedSession::Piece;

// Appends and attends to the pieces, each in a call of its own.
void feed_one_by_one(PagedSession& session, const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    session.append({piece});
    session.attend({piece});
  }
}

// Paths that multiply 8-bit caches by 8-bit queries and probabilities; avx2 has 16 bits, the reference none.
bool multiplies_8_bits(const Device& device) { return device.info().name == "cpu" && device.info().path != "avx2"; }

// Roundings (devices_under_test.h) that a case's results may be off by, as in training (attention_problem.cpp).
double roundings_of(const shapes::PagedCase& c, double tokens, const Device& device) {
  const double spread = std::max(1.0, c.spread), dim = static_cast<double>(c.pool.key_dim);
  // The length of rotations, 1.25, goes into every logit; the two factors of a rotation round apart.
  const double logit = std::sqrt(dim) * spread * (c.rotated > 0 ? 3 : 1);
  double roundings = logit + (c.alibi ? tokens / 4 : 0) + std::sqrt(tokens);
  // The plain twin holds the same 8-bit numbers. The kernel rounds queries and probabilities to 16 bits: half a step of
  // max / 32767 each, max of a row at most 4.5 times its spread: 7e-5 = 1150 roundings of 2^-24 for each number; errors
  // of a logit's terms add like a random walk and stay one such error of the logit, whose size is `spread`. With 8
  // bits, half a step of max / 127: that bounds large scores loosely, and Int8PathsAgree and Int8Accuracy say more.
  if (c.pool.type == DType::i8) roundings += (multiplies_8_bits(device) ? 1150 * 32767.0 / 127 : 1150) * (1 + spread);
  // Products in bf16 round queries and probabilities, and a key's angles and the rotated key, by 0.85 u of a number in
  // the root of the mean square, with u = 2^-9, 2^14 roundings. A logit's error is then normal, of deviation 0.85 ·
  // spread · u for each operand; the worst of 10⁵ differences between two logits is 4.5 · √2 times that: 5.4 · spread ·
  // u.
  if (device.precision() == Precision::bf16)
    roundings += 0x1p14 * (1 + 5.4 * spread * (c.rotated > 0 ? std::sqrt(3) : 1));
  return roundings;
}

void expect_devices_agree(const std::vector<shapes::PagedCase>& cases,
                          const std::vector<std::unique_ptr<Device>>& devices) {
  const auto exact_device = make_reference_device(DType::f64);
  for (const shapes::PagedCase& c : cases) {
    PagedSession exact(*exact_device, c);
    exact.append(exact.contexts());
    exact.append(exact.calls());
    exact.attend(exact.calls());
    for (const auto& device : devices) {
      SCOPED_TRACE(title(*device) + ": " + c.name);
      PagedSession session(*device, c);
      session.append(session.contexts());
      session.append(session.calls());
      session.attend(session.calls());
      for (const Piece& piece : session.calls())
        EXPECT_EQ(difference(session.result(piece), exact.result(piece),
                             roundings_of(c, static_cast<double>(piece.first + piece.count), *device)),
                  "")
            << "sequence " << piece.sequence;
      EXPECT_TRUE(session.operands().frames_intact());
    }
  }
}

// Of int8 cases, all results of the calls in a row.
std::vector<double> results_of(Device& device, const shapes::PagedCase& c) {
  PagedSession session(device, c);
  session.append(session.contexts());
  session.append(session.calls());
  session.attend(session.calls());
  std::vector<double> all;
  for (const Piece& piece : session.calls()) {
    const std::vector<double> some = session.result(piece);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// Paths that round to 8 bits round the same numbers: but for a few that lie between two, and then by one step, they
// agree as closely as f32 does.
int expect_int8_paths_to_agree(const std::vector<shapes::PagedCase>& cases,
                               const std::vector<std::unique_ptr<Device>>& devices) {
  int compared = 0;
  for (const shapes::PagedCase& c : cases) {
    // A block narrower than two vectors, 32 numbers on avx512, is multiplied in f32.
    if (c.pool.type != DType::i8 || c.pool.value_dim % 32 != 0 || c.pool.page_tokens % 32 != 0) continue;
    const std::vector<double> plain = results_of(*devices.front(), c);
    for (const auto& device : devices) {
      if (device == devices.front() || !multiplies_8_bits(*device)) continue;
      EXPECT_LT(relative_distance(results_of(*device, c), plain), 2e-4) << title(*device) << ": " << c.name;
      ++compared;
    }
  }
  return compared;
}

// The cases whose cache is multiplied in bf16 by devices that do.
std::vector<shapes::PagedCase> bf16_cases() {
  std::vector<shapes::PagedCase> cases;
  for (const shapes::PagedCase& c : shapes::paged)
    if (c.pool.type == DType::bf16 || (c.pool.type == DType::i8 && c.pool.value_in_key)) cases.push_back(c);
  return cases;
}

TEST(Paged, Int8PathsAgree) {
  if (expect_int8_paths_to_agree(shapes::paged, cpu_devices()) == 0)
    GTEST_SKIP() << "this CPU has one path alone that rounds to 8 bits";
}
TEST(Paged, Int8PathsThatMultiplyInBf16Agree) {
  if (expect_int8_paths_to_agree(bf16_cases(), bf16_devices()) == 0)
    GTEST_SKIP() << "this CPU has one path alone that multiplies in bf16";
}
// Scores in bf16 are off by the roundings of a query, an angle, a key and a turned key, each of deviation 0.85 · 2^-9
// of the spread of logits: 0.33 % of a probability. Where that moves it over a step of 8 bits, 1/255 of the largest, it
// is off by a part of that step as well.
TEST(Paged, Int8KeysMultipliedInBf16AreNearThoseInF32) {
  const auto devices = cpu_devices(), in_bf16 = bf16_devices();
  for (const shapes::PagedCase& c : bf16_cases())
    for (size_t i = 0; c.pool.type == DType::i8 && i < devices.size(); ++i)
      EXPECT_LT(relative_distance(results_of(*in_bf16[i], c), results_of(*devices[i], c)), 0.006)
          << title(*devices[i]) << ": " << c.name;
}

TEST(Paged, DevicesAgree) { expect_devices_agree(shapes::paged, devices_under_test()); }
TEST(Paged, DevicesThatMultiplyInBf16Agree) { expect_devices_agree(bf16_cases(), bf16_devices()); }

TEST(PagedFull, DevicesAgreeAt128k) { expect_devices_agree(shapes::paged_long, devices_under_test()); }

TEST(Paged, PoolHoldsNoPadding) {
  for (const auto& device : devices_under_test())
    for (const shapes::PagedCase& c : shapes::paged) {
      PagedSession session(*device, c);
      const KvPoolSpec& spec = session.pool().spec();
      EXPECT_EQ(session.pool().bytes(), spec.pages * spec.page_tokens * spec.bytes_per_token()) << c.name;
    }
}

// A page that is written again holds the new token alone.
TEST(Paged, PagesAreReusable) {
  for (const auto& device : devices_under_test()) {
    PagedSession session(*device, shapes::paged[1]);
    feed_one_by_one(session, session.calls());
    const std::vector<double> once = session.result(session.calls()[0]);
    feed_one_by_one(session, session.calls());
    EXPECT_EQ(session.result(session.calls()[0]), once) << title(*device);
  }
}

void expect_company_changes_nothing(const std::vector<shapes::PagedCase>& cases,
                                    const std::vector<std::unique_ptr<Device>>& devices) {
  for (const auto& device : devices)
    for (const shapes::PagedCase& c : cases) {
      SCOPED_TRACE(title(*device) + ": " + c.name);
      PagedSession together(*device, c), alone(*device, c);
      for (PagedSession* session : {&together, &alone}) session->append(session->contexts());
      together.append(together.calls());
      together.attend(together.calls());
      feed_one_by_one(alone, alone.calls());
      for (const Piece& piece : together.calls()) EXPECT_EQ(together.result(piece), alone.result(piece));
    }
}

TEST(BatchInvariance, PagedAloneAndInCompany) {
  expect_company_changes_nothing(shapes::paged, cpu_devices());
  expect_company_changes_nothing(bf16_cases(), bf16_devices());
}

// One thread folds splits as it goes. Several do them apart: where the ranges of threads meet, and where one helps
// another, within a run of splits or between two, sums are folded at other times, but in the same order.
TEST(BatchInvariance, PagedWhateverTheThreads) {
  for (const shapes::PagedCase& c : shapes::paged) {
    if (c.sequences.back().context < 1024 || c.sequences.back().context > 20000) continue;
    for (const auto& device : cpu_devices()) {
      SCOPED_TRACE(title(*device) + ": " + c.name);
      PagedSession session(*device, c);
      session.append(session.contexts());
      session.append(session.calls());
      set_num_threads(1);
      session.attend(session.calls());
      std::vector<std::vector<double>> alone;
      for (const Piece& piece : session.calls()) alone.push_back(session.result(piece));
      for (const int threads : {2, 3, 7}) {
        set_num_threads(threads);
        feed_one_by_one(session, session.calls());
        for (size_t i = 0; i < alone.size(); ++i)
          EXPECT_EQ(session.result(session.calls()[i]), alone[i]) << threads << " threads";
      }
      set_num_threads(0);
    }
  }
}

// [0, tokens) of a sequence in up to `parts` pieces.
std::vector<Piece> random_cut(Random& random, int64_t sequence, int64_t tokens, int64_t parts) {
  std::vector<int64_t> cuts{0, tokens};
  for (int64_t i = 1; i < parts; ++i) cuts.push_back(static_cast<int64_t>(random.below(tokens)));
  std::sort(cuts.begin(), cuts.end());
  std::vector<Piece> pieces;
  for (size_t i = 1; i < cuts.size(); ++i)
    if (cuts[i] > cuts[i - 1]) pieces.push_back({sequence, cuts[i - 1], cuts[i] - cuts[i - 1]});
  return pieces;
}

// The whole of each sequence as one prompt, then cut at 20 random places, then token by token.
void expect_cuts_change_nothing(const std::vector<shapes::PagedCase>& cases,
                                const std::vector<std::unique_ptr<Device>>& devices) {
  Random random(5);
  for (const auto& device : devices)
    for (const shapes::PagedCase& c : cases) {
      PagedSession whole(*device, c), cut(*device, c), single(*device, c);
      for (int64_t s = 0; s < whole.n_sequences(); ++s) {
        const int64_t tokens = whole.tokens(s);
        if (tokens > 400) continue;  // a thousand single tokens add time and no new kind of cut
        SCOPED_TRACE(title(*device) + ": " + c.name + ", sequence " + std::to_string(s));
        feed_one_by_one(whole, {{s, 0, tokens}});
        feed_one_by_one(cut, random_cut(random, s, tokens, 21));
        feed_one_by_one(single, random_cut(random, s, tokens, 20 * tokens));
        EXPECT_EQ(cut.result({s, 0, tokens}), whole.result({s, 0, tokens}));
        EXPECT_EQ(single.result({s, 0, tokens}), whole.result({s, 0, tokens}));
      }
    }
}

TEST(BatchInvariance, PagedHoweverThePromptIsCut) {
  expect_cuts_change_nothing(shapes::paged, cpu_devices());
  expect_cuts_change_nothing(bf16_cases(), bf16_devices());
}

}  // namespace
}  // namespace mfa
