// The machine's GEMM peak as oneDNN itself gives it: its matmul primitive in f32, bf16 and int8 over a few shapes, in a
// loop of its own. It shares no code with mfa, whose own measurement (`mfa bench`) must come to at least 0.9 of this.
//
// usage: onednn_peak [SECONDS a shape, default 0.5]        prints one JSON document
// Each figure is the best over the shapes of the median over the runs, in 1e9 operations a second (2·m·n·k a product).
// 0: oneDNN has only its reference loops for that type on this CPU.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dnnl.hpp>
#include <string>
#include <vector>

namespace {

using dnnl::memory;

struct Shape {
  int64_t m, n, k;
};
constexpr Shape kShapes[] = {{1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 1024, 1024}, {4096, 4096, 1024}};

struct Types {
  const char* key;
  memory::data_type a, b, c;
};
constexpr Types kTypes[] = {
    {"gemm_f32_gflop_per_s", memory::data_type::f32, memory::data_type::f32, memory::data_type::f32},
    {"gemm_bf16_gflop_per_s", memory::data_type::bf16, memory::data_type::bf16, memory::data_type::f32},
    {"gemm_int8_gop_per_s", memory::data_type::u8, memory::data_type::s8, memory::data_type::s32}};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, const memory::desc& a, const memory::desc& b,
                                      const memory::desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, a, b, c};
#else
  return {dnnl::matmul::desc(a, b, c), engine};
#endif
}

// Small numbers in whatever type: bytes whose values are neither zero nor not a number in any of the three.
void fill(memory& x) {
  auto* bytes = static_cast<uint8_t*>(x.get_data_handle());
  const size_t size = x.get_desc().get_size();
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(0x30 + i * 7 % 13);
}

// Operations a second (1e9) of the median run; `packed`: weights in the layout that oneDNN likes, laid out beforehand.
double measure(const Types& types, const Shape& s, bool packed, double seconds) {
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto plain = memory::format_tag::ab;
  const memory::desc a({s.m, s.k}, types.a, plain), c({s.m, s.n}, types.c, plain);
  const memory::desc b({s.k, s.n}, types.b, packed ? memory::format_tag::any : plain);
  const auto description = describe(engine, a, b, c);
  const std::string name = description.impl_info_str();
  if (name.starts_with("ref") || name.find(":ref") != std::string::npos) return 0;
  const dnnl::matmul product(description);
  memory x(a, engine), y(description.weights_desc(), engine), z(c, engine);
  fill(x);
  fill(y);
  std::vector<double> runs;
  for (const double until = now() + seconds; runs.size() < 5 || now() < until;) {
    const double began = now();
    product.execute(stream, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, y}, {DNNL_ARG_DST, z}});
    stream.wait();
    runs.push_back(now() - began);
    if (runs.size() == 1 && runs[0] > seconds) break;
  }
  std::nth_element(runs.begin(), runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2), runs.end());
  return 2e-9 * static_cast<double>(s.m * s.n * s.k) / runs[runs.size() / 2];
}

double best_of(const Types& types, double seconds) {
  double best = 0;
  for (const Shape& shape : kShapes)
    for (const bool packed : {false, true}) {
      try {
        best = std::max(best, measure(types, shape, packed, seconds));
      } catch (const dnnl::error&) {
        return best;  // this CPU or this oneDNN has no such product
      }
    }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
  const dnnl_version_t* version = dnnl_version();
  std::printf("{\"onednn\": \"%d.%d.%d\"", version->major, version->minor, version->patch);
  for (const Types& types : kTypes) std::printf(", \"%s\": %.1f", types.key, best_of(types, seconds));
  std::printf("}\n");
}
