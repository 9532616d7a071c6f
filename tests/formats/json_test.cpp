#include "formats/json.h"

#include "formats/test_files.h"

namespace mfa {
namespace {

TEST(Json, NestsAtMost128Deep) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(128), "file").is_array());
  expect_bad_input([&] { parse_json(nested(129), "a.json"); }, "[a.json] JSON nests too deep");
  expect_bad_input([&] { parse_json(std::string(10'000'000, '['), "a.json"); }, "too deep");
  // Brackets in strings do not count, also behind escapes.
  EXPECT_EQ(parse_json("[\"" + std::string(500, '[') + "\\\"[\"]", "file")[0].get<std::string>().size(), 502u);
}

TEST(Json, NamesTheFileOfMalformedText) {
  for (const std::string text : {"", "{", "{]", "nul", "{\"a\":1,}", "\"\xff\"", "[1] x"}) {
    expect_bad_input([&] { parse_json(text, "dir/config.json"); }, "[dir/config.json] not valid JSON");
  }
}

TEST(Json, IntegersThatWouldBecomeFloatsAreRefusedWhereTemplatesShowThem) {
  const OrderedJson json =
      parse_ordered_json(R"([9223372036854775807, -9223372036854775808, "9223372036854775808\\", 1e30])", "f");
  EXPECT_EQ(json[1].get<int64_t>(), std::numeric_limits<int64_t>::min());
  for (const std::string text :
       {"9223372036854775808", "[0,-9223372036854775809]", R"({"\\": 18446744073709551616})"}) {
    expect_bad_input([&] { parse_ordered_json(text, "f"); }, "too large, expected at most 64 bits");
  }
  expect_bad_input([] { parse_ordered_json(std::string(5000, '1'), "f"); }, "is too large");
  EXPECT_TRUE(parse_json("[18446744073709551616]", "tokenizer_config.json")[0].is_number_float());
}

TEST(Json, GettersCheckTypeAndRange) {
  const Json json = parse_json(R"({"n": 7, "x": 1.5, "s": "text", "b": true, "z": null, "l": [1], "o": {},
                                   "big": 18446744073709551615, "huge": 1e30})",
                               "f");
  EXPECT_EQ(get_int(json, "n", "f", 7, 7), 7);
  EXPECT_EQ(get_double(json, "n", "f"), 7.0);
  EXPECT_EQ(get_double(json, "x", "f", 0, 2), 1.5);
  EXPECT_EQ(get_string(json, "s", "f"), "text");
  EXPECT_TRUE(get_bool(json, "b", "f"));
  EXPECT_EQ(get_array(json, "l", "f").size(), 1u);
  EXPECT_TRUE(get_object(json, "o", "f").empty());
  expect_bad_input([&] { get_int(json, "n", "f", 8, 9); }, "[f] n, got 7, expected 8 to 9");
  expect_bad_input([&] { get_int(json, "x", "f"); }, "[f] x, got 1.5, expected a whole number");
  expect_bad_input([&] { get_int(json, "big", "f"); }, "got 18446744073709551615");
  expect_bad_input([&] { get_int(json, "huge", "f"); }, "expected a whole number");
  expect_bad_input([&] { get_int(json, "none", "f"); }, "[f] none is missing");
  expect_bad_input([&] { get_int(json, "z", "f"); }, "[f] z is missing");
  expect_bad_input([&] { get_string(json, "n", "f"); }, "[f] n, got 7, expected a string");
  expect_bad_input([&] { get_bool(json, "s", "f"); }, "got \"text\", expected true or false");
  expect_bad_input([&] { get_double(json, "x", "f", 2, 3); }, "got 1.5, expected 2 to 3");
  expect_bad_input([&] { get_object(json, "l", "f"); }, "got array, expected an object");
  expect_bad_input([&] { get_array(json, "o", "f"); }, "got object, expected a list");
  expect_bad_input([&] { get_int(json["l"], "n", "f"); }, "expected an object");
}

TEST(Json, OptionalGettersTakeNullForMissing) {
  const Json json = parse_json(R"({"n": 7, "z": null, "s": "text"})", "f");
  EXPECT_EQ(find_int(json, "n", "f"), 7);
  EXPECT_EQ(find_int(json, "z", "f"), std::nullopt);
  EXPECT_EQ(find_string(json, "none", "f"), std::nullopt);
  EXPECT_EQ(find_bool(json, "z", "f"), std::nullopt);
  EXPECT_EQ(find_double(json, "n", "f"), 7.0);
  expect_bad_input([&] { find_int(json, "s", "f"); }, "expected a whole number");
}

}  // namespace
}  // namespace mfa
