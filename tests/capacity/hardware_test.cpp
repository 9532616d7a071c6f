#include "capacity/hardware.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace mfa {
namespace {

// A home without a table of its own, whatever the person who runs the tests has.
class HardwareFiles : public testing::Test {
 protected:
  void SetUp() override { setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1); }
  void TearDown() override { unsetenv("XDG_CONFIG_HOME"); }
  fs::path write(const std::string& rows) {
    const fs::path path = folder_.path() / "table.json";
    write_file(path, "{\"hardware\": [" + rows + "]}");
    return path;
  }
  std::string error_of(const std::string& rows) {
    try {
      load_hardware(write(rows));
    } catch (const BadInput& error) {
      return error.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
};

TEST_F(HardwareFiles, BuiltInRowsHaveWhatTheReportPrints) {
  const std::vector<Hardware> rows = load_hardware();
  const Hardware h800 = find_hardware(rows, "h800");
  EXPECT_EQ(h800.name, "H800");
  EXPECT_EQ(h800.usd_per_hour, 2);
  EXPECT_EQ(h800.flops(8), 1.98e15);
  EXPECT_EQ(h800.flops(16), 9.89e14);
  for (const Hardware& row : rows) EXPECT_FALSE(row.source.empty()) << row.name;
}

TEST_F(HardwareFiles, ArithmeticThatIsMissingFallsBackToTheNextWiderOne) {
  const std::vector<Hardware> rows = load_hardware();
  EXPECT_EQ(find_hardware(rows, "A800").flops(8), 3.12e14);          // no FP8: bf16
  EXPECT_EQ(find_hardware(rows, "epyc-zen3-2c").flops(16), 1.8e11);  // no bf16: f32
  EXPECT_EQ(find_hardware(rows, "910B").flops(32), 0);               // not known
}

TEST_F(HardwareFiles, RowsOfAFileComeToOrReplaceTheBuiltInOnes) {
  const size_t built_in = load_hardware().size();
  const fs::path path =
      write(R"({"name": "h20", "bytes_per_s": 1e12}, {"name": "mine", "bytes_per_s": 5, "threads": 3})");
  const std::vector<Hardware> rows = load_hardware(path);
  ASSERT_EQ(rows.size(), built_in + 1);
  EXPECT_EQ(find_hardware(rows, "H20").bytes_per_s, 1e12);
  EXPECT_EQ(find_hardware(rows, "H20").usd_per_hour, 0);
  EXPECT_EQ(find_hardware(rows, "mine").threads, 3);
}

TEST_F(HardwareFiles, TheUsersOwnTableIsReadWhereItIs) {
  EXPECT_EQ(user_hardware_file(), folder_.path() / "mfa" / "hardware.json");
  make_folder(folder_.path() / "mfa");
  write_file(user_hardware_file(), R"({"hardware": [{"name": "desk", "bytes_per_s": 6e10}]})");
  EXPECT_EQ(find_hardware(load_hardware(), "desk").bytes_per_s, 6e10);
}

TEST_F(HardwareFiles, WhatIsWrittenIsReadAgain) {
  const std::vector<Hardware> rows = load_hardware();
  EXPECT_EQ(hardware_from_json(Json::parse(hardware_to_json(rows).dump()), "again"), rows);
}

TEST_F(HardwareFiles, ErrorsNameTheRowAndTheKey) {
  EXPECT_NE(error_of(R"({"name": "x", "bytes_per_sec": 1})").find("table.json: x] unknown key, got bytes_per_sec"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"name": "x"})").find("x] bytes_per_s, got none"), std::string::npos);
  EXPECT_NE(error_of(R"({"name": "x", "bytes_per_s": -1})").find("x] bytes_per_s, got -1"), std::string::npos);
  EXPECT_NE(error_of(R"({"name": "x", "bytes_per_s": "1"})").find("x] bytes_per_s, got \"1\""), std::string::npos);
  EXPECT_NE(error_of(R"({"name": "a,b", "bytes_per_s": 1})").find("got 'a,b'"), std::string::npos);
  EXPECT_NE(error_of(R"({"bytes_per_s": 1})").find("name is missing"), std::string::npos);
  EXPECT_NE(error_of(R"({"name": "x", "bytes_per_s": 1}, {"name": "X", "bytes_per_s": 1})").find("two rows"),
            std::string::npos);
  EXPECT_NE(error_of("3").find("expected an object"), std::string::npos);
}

TEST_F(HardwareFiles, UnknownNamesGetAListOfKnownOnes) {
  try {
    const std::vector<Hardware> rows = load_hardware();
    find_hardware(rows, "H900");
    FAIL();
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("got H900, expected H800, H20, A800, 910B"), std::string::npos);
  }
}

TEST_F(HardwareFiles, ASavedRowTakesThePlaceOfItsNameAndLeavesTheOthers) {
  const fs::path path = write(R"({"name": "mine", "bytes_per_s": 1}, {"name": "other", "bytes_per_s": 2})");
  Hardware row;
  row.name = "Mine";
  row.bytes_per_s = 3;
  row.decode.threads = 2;
  for (const DType type : {DType::f32, DType::bf16})
    row.decode.products.push_back({type, {{1, 2}, {3, 4}}, {{1}, {5}}});
  for (const DType kv : {DType::f32, DType::bf16, DType::i8})
    for (const CacheKind kind : {CacheKind::apart, CacheKind::rotated, CacheKind::shared})
      row.decode.attention.push_back({kv, kind, 64, {{1}, {6}}, {{1}, {7}}});
  row.decode.vectors = {{{1}, {1}}, {{1}, {2}}, {{1}, {3}}, {{1}, {4}}, {{1}, {5}}};
  save_hardware(path, row);
  const std::vector<Hardware> rows = hardware_from_json(parse_json(read_file(path), "table"), "table");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], row);
  EXPECT_EQ(rows[1].name, "other");
  const fs::path fresh = folder_.path() / "a" / "b.json";  // folders are made
  save_hardware(fresh, row);
  EXPECT_EQ(find_hardware(load_hardware(fresh), "mine").bytes_per_s, 3);
}

}  // namespace
}  // namespace mfa
