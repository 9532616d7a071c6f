// The language against Jinja2's own answers: tests/fixtures/templates.
#include "base/file.h"
#include "formats/chat_template.h"
#include "formats/test_files.h"

namespace mfa {
namespace {

// 2024-07-26 13:05:09, as in make_templates.py
std::tm fixed_time() {
  std::tm now{};
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 26;
  now.tm_hour = 13;
  now.tm_min = 5;
  now.tm_sec = 9;
  now.tm_wday = 5;
  now.tm_yday = 207;
  return now;
}

TEST(JinjaGolden, RendersWhatJinja2Renders) {
  const fs::path path = fs::path(MFA_FIXTURES) / "templates" / "cases.json";
  const OrderedJson document = parse_ordered_json(read_file(path), path.string());
  size_t rendered = 0, failed = 0;
  for (const OrderedJson& expected : document["cases"]) {
    const std::string source = expected["template"];
    SCOPED_TRACE(source);
    if (expected.contains("error")) {
      ++failed;
      EXPECT_THROW(
          {
            ChatTemplate chat(source);
            chat.set_clock(fixed_time);
            ADD_FAILURE() << "rendered: " << chat.render_variables(document["context"]).text;
          },
          BadInput)
          << expected["error"];
      continue;
    }
    ++rendered;
    try {
      ChatTemplate chat(source);
      chat.set_clock(fixed_time);
      EXPECT_EQ(chat.render_variables(document["context"]).text, expected["expected"].get<std::string>());
    } catch (const BadInput& error) {
      ADD_FAILURE() << error.what();
    }
  }
  EXPECT_GE(rendered, 150u);
  EXPECT_GE(failed, 100u);
}

}  // namespace
}  // namespace mfa
