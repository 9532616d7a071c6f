#include "formats/chat_template.h"

#include <ctime>
#include <random>

#include "formats/test_files.h"

namespace mfa {
namespace {

std::string rendered(const std::string& source, const OrderedJson& variables = OrderedJson::object()) {
  return ChatTemplate(source).render_variables(variables).text;
}

OrderedJson messages() {
  return OrderedJson::parse(R"([{"role": "user", "content": "hé"}, {"role": "assistant", "content": "ok"}])");
}

constexpr const char* kChat =
    "{% for m in messages %}<{{ m.role }}>{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

TEST(ChatTemplate, RendersMessages) {
  const ChatTemplate chat(kChat);
  EXPECT_EQ(chat.render(messages(), nullptr, "", "$", true), "<user>hé$<assistant>ok$<assistant>");
  EXPECT_EQ(chat.render(messages(), nullptr, "", "$", false), "<user>hé$<assistant>ok$");
}

TEST(ChatTemplate, SpansAreBytesOfWhatGenerationBlocksRender) {
  const ChatTemplate chat(kChat);
  EXPECT_TRUE(chat.marks_assistant());
  const RenderedChat out = chat.render_with_spans(messages(), nullptr, "", "$", false);
  ASSERT_EQ(out.assistant.size(), 2u);
  EXPECT_EQ(out.text.substr(out.assistant[0].begin, out.assistant[0].end - out.assistant[0].begin), "hé$");
  EXPECT_EQ(out.text.substr(out.assistant[1].begin, out.assistant[1].end - out.assistant[1].begin), "ok$");
  EXPECT_FALSE(ChatTemplate("{{ messages }}").marks_assistant());
}

TEST(ChatTemplate, SpansInsideCapturesAreRefusedNotGuessed) {
  const ChatTemplate chat("{% set x %}{% generation %}a{% endgeneration %}{% endset %}{{ x }}");
  EXPECT_EQ(chat.render(messages(), nullptr, "", "", false), "a");
  expect_bad_input([&] { chat.render_with_spans(messages(), nullptr, "", "", false); }, "its place is not known");
}

TEST(ChatTemplate, ExtraVariablesWinAndToolsMayBeNull) {
  const ChatTemplate chat("{{ tools is none }}{{ bos_token }}{{ thinking }}{{ documents is none }}");
  EXPECT_EQ(chat.render(messages(), nullptr, "<s>", "", false, {{"thinking", 1}, {"bos_token", "!"}}), "True!1True");
}

TEST(ChatTemplate, ReasoningHasBothNames) {
  const OrderedJson list = OrderedJson::parse(R"([{"role": "assistant", "reasoning": "why", "content": "a"}])");
  EXPECT_EQ(
      ChatTemplate("{{ messages[0]|tojson }}").render(list, nullptr, "", "", false),
      R"({"thinking": "why", "role": "assistant", "reasoning": "why", "content": "a", "reasoning_content": "why"})");
}

TEST(ChatTemplate, JsonKeepsTheOrderOfKeys) {
  EXPECT_EQ(rendered("{{ x|tojson }}", OrderedJson::parse(R"({"x": {"b": 1, "a": [1.0, null, true, "é"]}})")),
            R"({"b": 1, "a": [1.0, null, true, "é"]})");
}

TEST(ChatTemplate, ErrorsNameLineAndColumn) {
  expect_bad_input([] { rendered("a\n  {{ 'é' + 1 }}"); }, "[template] line 2, column 6: can only concatenate str");
  expect_bad_input([] { rendered("{% if x %}\n{{ x"); }, "[template] line 2, column 5: unexpected end");
  expect_bad_input([] { rendered("{% for x in y %}"); },
                   "line 1, column 17: unexpected end of the template, expected endfor or else");
  expect_bad_input([] { rendered("\n\n{{ raise_exception('no system role') }}"); },
                   "line 3, column 19: no system role");
  expect_bad_input([] { rendered("{{ a.b }}"); }, "column 5: 'a' is undefined");
  expect_bad_input([] { rendered("{{ {}.b.c }}"); }, "'dict object' has no attribute 'b'");
  expect_bad_input([] { ChatTemplate("{% include 'x' %}", "model/chat_template.jinja"); },
                   "[model/chat_template.jinja] line 1, column 4: the tag 'include' is not supported");
  expect_bad_input([] { rendered("{{ 123456789012345678901234567890 }}"); }, "too large");
  expect_bad_input([] { rendered("{{ 9223372036854775807 + 1 }}"); }, "too large");
  expect_bad_input([] { ChatTemplate("\xff"); }, "not UTF-8");
  expect_bad_input([] { ChatTemplate(std::string(1 << 20, 'x')); }, "1048576 bytes");
}

TEST(ChatTemplate, WrongMessagesAreRefused) {
  const ChatTemplate chat("x");
  expect_bad_input([&] { chat.render(OrderedJson::object(), nullptr, "", "", false); },
                   "messages, got object, expected a list");
  expect_bad_input([&] { chat.render(OrderedJson::array({1}), nullptr, "", "", false); }, "a message, got number");
  expect_bad_input([&] { chat.render(messages(), 5, "", "", false); }, "tools, got number");
}

// Each would run for ever, or fill the memory, or exhaust the stack. The bound of two seconds is the project's own for
// hostile files; under sanitizers everything takes about ten times as long.
TEST(ChatTemplate, NoTemplateRunsAway) {
  const std::string nested(100'000, '(');
  std::string sums = "{{ 1";
  for (int i = 0; i < 10'000; ++i) sums += " + 1";
  const std::vector<std::string> hostile = {
      "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{{ 'x' * 99999999999 }}",
      "{{ [0] * 999999999 }}",
      "{% set ns = namespace(x='x') %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[]) %}{% for a in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[]) %}{% for a in range(99999) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for a in range(99999) %}{% set ns.x = ns.x|map('string') %}{% endfor %}{{ "
      "ns.x|list }}",
      "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
      "{% set x = range(99999)|list %}{{ x|sort|string|length }}{% for a in x %}{% if x == x[1:] %}{% endif %}{% "
      "endfor %}{% for a in x %}{{ x|join }}{% endfor %}",
      "{{ '%999999999d' % 1 }}",
      "{{ '{:999999999}'.format(1) }}",
      "{% for x in range(99999) %}{{ '{:060000,}'.format(1) }}{% endfor %}",
      "{{ 'x'.center(9999999999) }}",
      "{{ ('a' * 9999999).replace('a', 'b' * 9999) }}",
      "{{ ('a' * 9999999).rfind('b' + 'a' * 5000000) }}",
      "{{ ('a' * 9999999).split('a')|length }}",
      "{{ [1]|batch(99999999999, 'x')|list }}",
      "{{ [[1]]|slice(99999999999)|list }}",
      "{{ 'a'|indent(99999999) }}{{ ('\\n' * 999999)|indent(9999) }}",
      "{{ 'a\\tb'.expandtabs(99999999999) }}",
      "{{ [1]|tojson(indent=999999999) }}",
      "{{ range(99999999999) }}",
      "{{ 9 ** 9 ** 9 }}",
      "{{ " + nested,
      sums + " }}",
      "{{ " + std::string(100'000, '-') + "1 }}",
      "{{ " + std::string(100'000, '[') + " }}",
      "{{ 1" + std::string(100'000, '~') + " }}",
  };
  for (const std::string& source : hostile) {
    SCOPED_TRACE(source.substr(0, 120));
    const std::clock_t begin = std::clock();
    EXPECT_THROW(rendered(source), BadInput);
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 2.0);
#else
    static_cast<void>(begin);
#endif
  }
}

// Macros that hold each other through a namespace are freed: the leak checker of the asan build sees to it.
TEST(ChatTemplate, CirclesAreFreed) {
  EXPECT_EQ(rendered("{% set ns = namespace() %}{% set ns.me = ns %}{% macro f() %}{{ ns.n }}{% endmacro %}"
                     "{% set ns.f = f %}{% for x in [1, 2] %}{% set ns.l = loop %}{{ loop.changed(loop) }}"
                     "{% macro g() %}{{ x }}{% endmacro %}{% set ns.g = g %}{% endfor %}{{ ns.g() }}{{ ns.f() }}"),
            "TrueFalse2");
}

TEST(ChatTemplate, LongChatsAreWithinTheBudget) {
  OrderedJson list = OrderedJson::array();
  for (int i = 0; i < 5000; ++i)
    list.push_back({{"role", i % 2 ? "assistant" : "user"}, {"content", std::string(2000, 'x')}});
  const ChatTemplate chat(
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}{% endfor %}");
  EXPECT_GT(chat.render(list, nullptr, "", "", false).size(), 10'000'000u);
}

// Templates with a few random changes: each renders or fails with one line. Ten times as many with MFA_FULL=1.
TEST(ChatTemplate, MutatedTemplatesNeverCrash) {
  const fs::path path = fs::path(MFA_FIXTURES) / "templates" / "cases.json";
  const OrderedJson document = parse_ordered_json(read_file(path), path.string());
  std::vector<std::string> sources;
  for (const OrderedJson& entry : document["cases"]) sources.push_back(entry["template"]);
  std::mt19937 random(1);
  const auto below = [&](size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); };
  const int count = std::getenv("MFA_FULL") != nullptr ? 10'000 : 1000;
  for (int i = 0; i < count; ++i) {
    std::string source = sources[below(sources.size())] + sources[below(sources.size())];
    for (size_t edits = 1 + below(4); edits > 0 && !source.empty(); --edits) {
      const size_t at = below(source.size());
      switch (below(4)) {
        case 0:
          source.resize(at);
          break;
        case 1:
          source.erase(at, 1 + below(5));
          break;
        case 2:
          source[at] = "{}%()[]|.,'\"-+*~ \n09ax\x80"[below(24)];
          break;
        default:
          source.insert(at, source.substr(below(source.size()), below(20)));
      }
    }
    SCOPED_TRACE(source);
    const std::clock_t begin = std::clock();
    try {
      rendered(source, document["context"]);
    } catch (const BadInput& error) {
      EXPECT_EQ(std::string(error.what()).find('['), 0u);
    }
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 2.0);
#else
    static_cast<void>(begin);
#endif
  }
}

}  // namespace
}  // namespace mfa
