#include "planner/report/report.h"

#include <gtest/gtest.h>

#include "core/base/units.h"
#include "planner/report/answer.h"
#include "planner/report/charts.h"
#include "planner/report/suggest.h"
#include "planner/report/table.h"

namespace hearth::planner {
namespace {

Machine gb10() { return Catalogue::built_in().machine("gb10").value(); }

Result<std::shared_ptr<const Subject>> resolve(const std::string& name, const std::string& quant) {
  return Catalogue::built_in().subject(name, quant, gb10().caps);
}

const Value* row_of(const Value& table, const std::string& name, const std::string& quant) {
  for (const Value& row : table.at("rows").as_list()) {
    if (row.at("name").as_string() == name && row.at("quant").as_string() == quant) return &row;
  }
  return nullptr;
}

TEST(Table, TellsTheTruthAbout405BillionParameters) {
  const Value all = table(gb10(), 8192);
  for (const char* quant : {"int4", "nvfp4", "q4_k_m", "fp8"}) {
    const Value* row = row_of(all, "llama-3.1-405b", quant);
    ASSERT_NE(row, nullptr) << quant;
    EXPECT_LT(row->at("left_on_one_bytes").as_int(), -50 * GiB) << "never on one: " << quant;
  }
  const Value& nvfp4 = *row_of(all, "llama-3.1-405b", "nvfp4");
  EXPECT_GT(nvfp4.at("left_on_two_bytes").as_int(), 0) << "on two";
  EXPECT_LT(nvfp4.at("left_on_two_bytes").as_int(), 8 * GiB) << "but tight";
  EXPECT_LT(row_of(all, "deepseek-r1", "nvfp4")->at("left_on_two_bytes").as_int(), 0) << "not even on two";
  EXPECT_GT(row_of(all, "gpt-oss-120b", "nvfp4")->at("left_on_one_bytes").as_int(), 0);
  const std::string text = table_text(all);
  EXPECT_NE(text.find("10^9 bytes"), std::string::npos);
  EXPECT_NE(text.find("tight"), std::string::npos);
}

TEST(Report, AddsUpAndSaysWhatBinds) {
  const Value plan = report({{resolve("llama-3.1-8b", "q4_k_m").value(), {.context = 8192}}}, gb10(), {});
  const Value& model = plan.at("models").as_list().front();
  EXPECT_EQ(model.at("weights_bytes").as_int() + model.at("state_bytes").as_int() + model.at("arena_bytes").as_int() +
                model.at("buffer_bytes").as_int(),
            model.at("total_bytes").as_int());
  EXPECT_EQ(plan.at("needed_bytes"), model.at("total_bytes"));
  EXPECT_EQ(model.at("kv_bytes_per_token").as_int(), 131072);
  EXPECT_EQ(model.at("largest_context").as_int(), 131072);
  const Value& decode = model.at("phases").as_list()[1];
  EXPECT_NE(decode.at("limit").as_string().find("memory bandwidth"), std::string::npos);
  // 4.6 GB of weights and a context of a gigabyte at 230 GB/s.
  EXPECT_NEAR(decode.at("tokens_per_second_at_most").as_double(), 40, 4);
  const std::string text = report_text(plan);
  EXPECT_NE(text.find("GiB ("), std::string::npos);
  EXPECT_NE(text.find("It fits"), std::string::npos);
  EXPECT_NE(text.find("lower bounds"), std::string::npos);
}

TEST(Answer, GivesBatchSecondsAndBytes) {
  const Value got = answer({{"model", "sdxl"}, {"width", "1024"}, {"height", "1024"}, {"batch", "auto"}}, resolve,
                           gb10()).value();
  EXPECT_EQ(got.at("batch"), got.at("largest_batch"));
  EXPECT_GE(got.at("largest_batch").as_int(), 8);
  EXPECT_TRUE(got.at("fits").as_bool());
  EXPECT_GT(got.at("bytes").as_int(), 6 * GiB);
  EXPECT_LE(got.at("bytes").as_int(), got.at("budget_bytes").as_int());
  EXPECT_GT(got.at("seconds").as_double(), 3.0) << "20 guided steps are 281 TFLOP a picture";
  const Value chat = answer({{"model", "llama-3.1-8b"}, {"quant", "q4_k_m"}, {"context", "4096"}}, resolve, gb10())
                         .value();
  EXPECT_EQ(chat.at("context").as_int(), 4096);
  EXPECT_GT(chat.at("token_seconds").as_double(), 0.015);
}

TEST(Answer, RefusesInWords) {
  auto message = [](std::map<std::string, std::string> fields) {
    return answer(fields, resolve, gb10()).error().message();
  };
  EXPECT_NE(message({}).find("model: missing"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"widht", "512"}}).find("did you mean 'width'"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"width", "-4"}}).find("got '-4', wanted a whole number"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"batch", "many"}}).find("or auto"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxm"}}).find("did you mean 'sdxl'"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"kv_dtype", "q4"}}).find("f32, f16 or bf16"), std::string::npos);
}

TEST(AutoBatch, TakesWhatMemoryHolds) {
  const auto sdxl = resolve("sdxl", "").value();
  const Ask ask{.width = 512, .height = 512};
  const int64_t one = sdxl->demand(ask).total_bytes();
  EXPECT_EQ(auto_batch(*sdxl, ask, one - 1), 0);
  EXPECT_EQ(auto_batch(*sdxl, ask, one), 1);
  const int64_t n = auto_batch(*sdxl, ask, one + 2 * GiB);
  Ask at = ask;
  at.batch = n;
  EXPECT_LE(sdxl->demand(at).total_bytes(), one + 2 * GiB);
  at.batch = n + 1;
  if (n < 64) {
    EXPECT_GT(sdxl->demand(at).total_bytes(), one + 2 * GiB);
  }
}

TEST(Suggest, NamesTheLargestThatFitsAndIsQuickEnough) {
  const std::optional<Suggestion> spark = best_for(gb10());
  ASSERT_TRUE(spark);
  EXPECT_EQ(spark->name, "qwen3-32b");
  EXPECT_NE(spark->words(gb10()).find("hearth pull hf:"), std::string::npos);
  EXPECT_EQ(best_for(gb10(), 4 * GiB)->name, "qwen3-0.6b");
  EXPECT_FALSE(best_for(gb10(), 16 * MiB));
  Machine slow = gb10();
  slow.bandwidth = 30e9;
  EXPECT_EQ(best_for(slow)->name, "qwen3-4b") << "32 billion would crawl";
}

TEST(Charts, ShowTheBudgetAsALine) {
  const std::string svg =
      draw(charts({{resolve("qwen3-0.6b", "q8_0").value(), {.context = 4096}}, {resolve("sdxl", "").value(), {}}},
                  gb10()));
  EXPECT_EQ(svg.rfind("<svg", 0), 0u);
  EXPECT_NE(svg.find("budget "), std::string::npos);
  EXPECT_NE(svg.find("tokens of context"), std::string::npos);
  EXPECT_NE(svg.find("pictures at once"), std::string::npos);
  EXPECT_EQ(draw({{.title = "a < b & \"c\""}}).find("a < b"), std::string::npos) << "text is escaped";
}

}  // namespace
}  // namespace hearth::planner
