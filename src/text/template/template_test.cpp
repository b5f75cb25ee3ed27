#include "text/template/template.h"

#include <gtest/gtest.h>

namespace hearth::text {
namespace {

std::string render(std::string_view source, const Value& context = Value::object(), const TemplateLimits& limits = {}) {
  Result<Template> parsed = Template::parse(source);
  if (!parsed) return "PARSE " + parsed.error().message();
  Result<std::string> text = parsed->render(context, limits, 0);
  return text ? *text : std::string(wire_name(text.error().code())) + " " + text.error().message();
}

Value chat() {
  Value messages = Value::list();
  messages.push(Value::object({{"role", "system"}, {"content", "Be kind."}}));
  messages.push(Value::object({{"role", "user"}, {"content", "  Grüße  "}}));
  return Value::object({{"messages", messages}, {"add_generation_prompt", true}, {"bos_token", "<s>"}});
}

TEST(Template, RendersAChat) {
  EXPECT_EQ(render("{{ bos_token }}{% for message in messages %}\n"
                   "<|{{ message.role }}|>{{ message['content'] | trim }}\n"
                   "{% endfor %}\n"
                   "{% if add_generation_prompt %}<|assistant|>{% endif %}",
                   chat()),
            "<s><|system|>Be kind.\n<|user|>Grüße\n<|assistant|>");
}

TEST(Template, TrimsBlocksAndStripsTheirIndent) {
  EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(render("a {%- if true -%} b {%- endif +%}\nc"), "ab\nc");
  EXPECT_EQ(render("a\n  {%+ if true %}b{% endif %}"), "a\n  b");
}

TEST(Template, WritesValuesAsPython) {
  Value context = Value::object({{"v", Value(Value::List{Value(1), Value("it's"), Value(), Value(true), Value(2.0)})},
                                 {"seed", Value(uint64_t{18446744073709551615u})}});
  EXPECT_EQ(render("{{ v }}", context), "[1, \"it's\", None, True, 2.0]");
  EXPECT_EQ(render("{{ seed }} {{ seed + 1 }}", context), "18446744073709551615 18446744073709551616");
  EXPECT_EQ(render("{{ v | tojson }}", context), "[1, \"it's\", null, true, 2.0]");
  EXPECT_EQ(render("{{ {'a': [1], 'b': {}} | tojson(indent=2) }}"), "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}");
  EXPECT_EQ(render("{{ 1e16 }} {{ 0.1 }} {{ 7 // -2 }} {{ 7 % -2 }} {{ 7 / 2 }}"), "1e+16 0.1 -4 -1 3.5");
}

TEST(Template, CountsCodePoints) {
  EXPECT_EQ(render("{{ '日本語'|length }}{{ '日本語'[1] }}{{ '日本語'[::-1] }}{{ '日'.center(3, '-') }}"), "3本語本日-日-");
}

TEST(Template, NamespaceKeepsWhatALoopSets) {
  EXPECT_EQ(render("{% set n = 0 %}{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set n = n + i %}"
                   "{% set ns.n = ns.n + i %}{% endfor %}{{ n }} {{ ns.n }}"),
            "0 3");
}

TEST(Template, RaiseExceptionGivesTheModelsWords) {
  Result<std::string> text = Template::parse("{{ raise_exception('roles must ' ~ 'alternate') }}")->render(chat());
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(text.error().message(), "roles must alternate");
}

TEST(Template, RunTimeErrorsNameTheLine) {
  EXPECT_EQ(render("a\nb\n{{ missing.x }}"), "invalid_argument chat template: line 3: 'missing' is undefined");
  EXPECT_EQ(render("{% set d = {} %}\n{{ d.a.b }}"),
            "invalid_argument chat template: line 2: 'dict object' has no attribute 'a'");
  EXPECT_EQ(render("{{ 'a' + 1 }}"),
            "invalid_argument chat template: line 1: can only concatenate str (not \"int\") to str");
}

TEST(Template, ParseErrorsNameTheLineAndWhatWasExpected) {
  EXPECT_EQ(render("a\n{% if x %}\nb"),
            "PARSE chat template: line 3: Unexpected end of template. Jinja was looking for the following tags: "
            "'elif' or 'else' or 'endif'.");
  EXPECT_EQ(render("\n\n{{ x"), "PARSE chat template: line 3: unexpected end of template, expected end of print "
                                "statement '}}'");
  EXPECT_EQ(render("{% nosuch %}"), "PARSE chat template: line 1: Encountered unknown tag 'nosuch'.");
  EXPECT_EQ(render("{{ 'a'|nosuch }}"), "PARSE chat template: line 1: No filter named 'nosuch'.");
  EXPECT_EQ(render("{{ [1, 2) }}"), "PARSE chat template: line 1: unexpected ')', expected ']'");
  EXPECT_EQ(render("{% include 'x' %}"),
            "PARSE chat template: line 1: 'include' needs another template file; a chat template must stand alone");
}

TEST(Template, RefusesToChangeValuesOrLeaveTheSandbox) {
  Value context = Value::object({{"xs", Value::list()}, {"d", Value::object()}});
  for (const char* source : {"{{ xs.append(1) }}", "{{ d.update({}) }}", "{{ ''.__class__.__mro__ }}",
                             "{{ d.__class__() }}", "{% set ns = namespace() %}{% set ns.__x = 1 %}"}) {
    EXPECT_TRUE(render(source, context).starts_with("invalid_argument")) << source;
  }
}

TEST(Template, MentionsWhatItReads) {
  Result<Template> parsed =
      Template::parse("{% set a = tools %}{% macro m(x) %}{{ x.documents }}{{ deep }}{% endmacro %}");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->mentions("tools"));
  EXPECT_TRUE(parsed->mentions("deep"));
  EXPECT_FALSE(parsed->mentions("documents"));
  EXPECT_FALSE(parsed->mentions("a"));
}

TEST(Template, UsesTheGivenTime) {
  Result<std::string> text = Template::parse("{{ strftime_now('%Y') }}")->render(Value::object(), {}, 1'753'000'000);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "2025");
}

// Every program here would run for hours, eat the memory or overflow the stack without the limits.
struct Bomb {
  const char* source;
  const char* code;
};

class TemplateLimitsTest : public testing::TestWithParam<Bomb> {};

TEST_P(TemplateLimitsTest, StopsInTime) {
  std::string outcome = render(GetParam().source);
  EXPECT_TRUE(outcome.starts_with(GetParam().code)) << outcome.substr(0, 300);
}

INSTANTIATE_TEST_SUITE_P(
    Bombs, TemplateLimitsTest,
    testing::Values(
        Bomb{"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "timeout"},
        Bomb{"{% for a in range(9999) %}{% for b in range(9999) %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
             "timeout"},
        Bomb{"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "unsupported"},
        Bomb{"{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}", "unsupported"},
        Bomb{"{% set t = [{'k': []}] %}{% for x in t recursive %}{{ loop(t) }}{% endfor %}", "unsupported"},
        Bomb{"{{ 'a' * 10 ** 9 }}", "unsupported"},
        Bomb{"{{ 'a' * 10 ** 30 }}", "unsupported"},
        Bomb{"{{ ([0] * 10 ** 9)|length }}", "timeout"},
        Bomb{"{{ range(10 ** 12) }}", "invalid_argument"},
        Bomb{"{{ range(10 ** 12)|list }}", "invalid_argument"},
        Bomb{"{{ 2 ** (10 ** 6) }}", "unsupported"},
        Bomb{"{% for i in range(90000) %}{{ 'x' * 10000 }}{% endfor %}", "unsupported"},
        Bomb{"{% set ns = namespace(t='x') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
             "unsupported"},
        Bomb{"{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
             "timeout"},
        Bomb{"{% set ns = namespace(l=[1]) %}{% for i in range(999) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}",
             "unsupported"},
        Bomb{"{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
             "{{ ns.l }}", "timeout"},
        Bomb{"{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}"
             "{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}", "timeout"},
        Bomb{"{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
             "{{ ns.l|tojson|length }}", "timeout"},
        Bomb{"{{ '%999999999d' % 1 }}", "unsupported"},
        Bomb{"{{ '{:999999999}'.format(1) }}", "unsupported"},
        Bomb{"{{ 'x'.center(10 ** 10) }}", "unsupported"},
        Bomb{"{{ 'x'|indent(10 ** 10, true) }}", "unsupported"},
        Bomb{"{{ ('a' * 9999999).replace('', 'b' * 999999) }}", "unsupported"},
        Bomb{"{{ ('a' * 9999999 in 'a' * 9999998 ~ 'b') }}", "timeout"},
        Bomb{"{{ range(9999)|map('string')|join('x' * 99999) }}", "unsupported"}));

TEST(TemplateLimits, ANamespaceMayHoldItself) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}{{ ns.me.me.l|length }}"), "1");
}

TEST(TemplateLimits, ParsingDoesNotRecurseWithoutEnd) {
  EXPECT_TRUE(render("{{ " + std::string(100000, '(') + " }}").starts_with("PARSE"));
  EXPECT_TRUE(render("{{ " + std::string(100000, '-') + "1 }}").starts_with("PARSE"));
  std::string sum = "{{ 1", filters = "{{ 'a'", items = "{{ a", blocks;
  for (int i = 0; i < 50000; ++i) sum += "+1", filters += "|upper", items += "[0]", blocks += "{% if 1 %}";
  EXPECT_TRUE(render(sum + " }}").starts_with("PARSE"));
  EXPECT_TRUE(render(filters + " }}").starts_with("PARSE"));
  EXPECT_TRUE(render(items + " }}").starts_with("PARSE"));
  EXPECT_TRUE(render(blocks).starts_with("PARSE"));
}

TEST(TemplateLimits, ACallerMayAskForLess) {
  const std::string stopped = render("{% for i in range(50) %}{{ i }}{% endfor %}", Value::object(), {.max_steps = 20});
  EXPECT_TRUE(stopped.starts_with("timeout"));
  EXPECT_TRUE(render("{{ 'abcdef' }}", Value::object(), {.max_output = 5}).starts_with("unsupported"));
  std::string nested = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}";
  EXPECT_TRUE(render(nested, Value::object(), {.max_depth = 3}).starts_with("unsupported"));
  EXPECT_EQ(render(nested, Value::object(), {.max_depth = 10}), "");
}

}  // namespace
}  // namespace hearth::text
