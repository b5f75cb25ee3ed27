#include "planner/report/report.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/units.h"
#include "planner/report/answer.h"
#include "planner/report/charts.h"
#include "planner/report/suggest.h"
#include "planner/report/table.h"

namespace hearth::planner {
namespace {

Machine gb10() { return Catalogue::built_in().machine("gb10").value(); }
Machines on_gb10() { return Catalogue::built_in().machines("gb10").value(); }

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
  const Value all = table(gb10(), {}).value();
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

TEST(Table, HasEveryModelInEverySchemeAndThoseThatAreNamed) {
  const Value all = table(gb10(), {}).value();
  for (const char* model : {"llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "qwen3-30b-a3b", "qwen3-coder-next",
                            "gpt-oss-20b", "gpt-oss-120b", "deepseek-r1", "sdxl", "sdxl+refiner", "flux.1-dev"}) {
    for (const char* quant : {"fp16", "fp8", "int4", "nvfp4", "q4_k_m"}) {
      EXPECT_NE(row_of(all, model, quant), nullptr) << model << " as " << quant;
    }
  }
  const Value some = table(gb10(), {.context = 1024, .models = {"qwen3-4b"}, .quants = {"q8_0", "q6_k"}}).value();
  ASSERT_EQ(some.at("rows").as_list().size(), 2u);
  EXPECT_EQ(some.at("rows").as_list()[1].at("quant").as_string(), "q6_k");
  EXPECT_NE(table(gb10(), {.models = {"qwen3-5b"}}).error().message().find("did you mean 'qwen3-"), std::string::npos);
  EXPECT_EQ(table(gb10(), {.quants = {"q4km"}}).error().code(), Code::kNotFound);
}

TEST(Report, AddsUpAndSaysWhatBinds) {
  const Value plan = report({{resolve("llama-3.1-8b", "q4_k_m").value(), {.context = 8192}}}, on_gb10(), {});
  const Value& model = plan.at("models").as_list().front();
  EXPECT_EQ(model.at("weights_bytes").as_int() + model.at("state_bytes").as_int() + model.at("arena_bytes").as_int() +
                model.at("buffer_bytes").as_int() + model.at("text_bytes").as_int(),
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

// A card of 24 GB in a host of 64: words on the one, pictures in the other.
TEST(Report, JudgesModelsByTheMemoryTheyLieIn) {
  Machines pc{.words = Catalogue::built_in().machine("rtx4090").value(),
              .pictures = {.name = "this", .memory_bytes = 64 * GiB}};
  const Want chat{resolve("qwen3-32b", "q4_k_m").value(), {.context = 8192, .parallel = 1}};
  const Want picture{resolve("sdxl", "").value(), {.batch = 1}};
  const Value both = report({chat, picture}, pc, {});
  ASSERT_EQ(both.at("pools").as_list().size(), 2u) << "23 GiB and 9 GiB in one pool of 23 would not fit";
  EXPECT_TRUE(both.at("fits").as_bool());
  const Value &card = both.at("pools").as_list()[0], &host = both.at("pools").as_list()[1];
  EXPECT_EQ(card.at("models").as_list().size(), 1u);
  EXPECT_EQ(card.at("budget_bytes").as_int(), pc.words.budget_bytes());
  EXPECT_EQ(host.at("budget_bytes").as_int(), pc.pictures.budget_bytes());
  EXPECT_EQ(host.at("models").as_list()[0].at("kind").as_string(), "picture");
  const std::string text = report_text(both);
  EXPECT_NE(text.find("It fits"), text.rfind("It fits")) << "one verdict a pool";
  const Value alone = report({picture}, pc, {});
  EXPECT_FALSE(alone.find("pools"));
  EXPECT_EQ(alone.at("budget_bytes"), host.at("budget_bytes")) << "alone as well";
  Desk desk{.machines = [&](const std::string&) -> Result<Machines> { return pc; }};
  EXPECT_EQ(answer({{"model", "sdxl"}}, desk)->at("budget_bytes"), host.at("budget_bytes")) << "so says GET /plan";
  pc.pictures.memory_bytes = 8 * GiB;
  EXPECT_FALSE(report({chat, picture}, pc, {}).at("fits").as_bool()) << "both must";
}

// Catalogue machines, and "this": a GB10 of which 9 GiB are free and 2 more could be.
Desk desk() {
  return {.machines = [](const std::string& name) {
            return Catalogue::built_in().machines(name == "this" ? "gb10" : name);
          },
          .room = [](bool) { return std::optional(Room{9 * GiB, 2 * GiB}); },
          .money = {.price_per_kwh = 0.5, .currency = "EUR "}};
}

TEST(Answer, GivesBatchSecondsAndBytes) {
  const Value got = answer({{"model", "sdxl"}, {"width", "1024"}, {"height", "1024"}, {"batch", "auto"},
                            {"machine", "gb10"}}, desk()).value();
  EXPECT_EQ(got.at("batch"), got.at("largest_batch"));
  EXPECT_GE(got.at("largest_batch").as_int(), 8);
  EXPECT_TRUE(got.at("fits").as_bool());
  const Value& bytes = got.at("bytes");
  EXPECT_GT(bytes.at("total").as_int(), 6 * GiB);
  EXPECT_LE(bytes.at("total").as_int(), got.at("budget_bytes").as_int());
  EXPECT_EQ(bytes.at("weights").as_int() + bytes.at("state").as_int() + bytes.at("arena").as_int() +
                bytes.at("buffer").as_int(),
            bytes.at("total").as_int());
  EXPECT_GT(got.at("seconds").as_double(), 3.0) << "20 guided steps are 281 TFLOP a picture";
  EXPECT_NE(got.at("limit").as_string().find("arithmetic"), std::string::npos);
  EXPECT_FALSE(got.find("now")) << "nobody knows what is free on another machine";
  const Value chat = answer({{"model", "llama-3.1-8b"}, {"quant", "q4_k_m"}, {"ctx", "4096"}}, desk()).value();
  EXPECT_EQ(chat.at("context").as_int(), 4096);
  EXPECT_GT(chat.at("token_seconds").as_double(), 0.015);
  // 140 W for 1,000 tokens at the bound's rate, half a coin a kilowatt-hour.
  const double joules = 1000 * 140 * chat.at("token_seconds").as_double();
  EXPECT_NEAR(chat.at("joules_per_1000_tokens").as_double(), joules, 1e-6 * joules);
  EXPECT_NEAR(chat.at("price_per_1000_tokens").as_double(), joules / 3.6e6 * 0.5, 1e-9);
  EXPECT_EQ(chat.at("plan").at("currency").as_string(), "EUR ");
}

TEST(Answer, TellsNowFromEver) {
  const Value big = answer({{"model", "llama-3.1-8b"}, {"quant", "fp16"}, {"ctx", "4096"}}, desk()).value();
  EXPECT_TRUE(big.at("fits").as_bool()) << "the machine has room";
  EXPECT_FALSE(big.at("now").at("fits").as_bool()) << "16 GB, and 11 GiB could be had";
  EXPECT_EQ(big.at("now").at("largest_context").as_int(), 0);
  const Value small = answer({{"model", "llama-3.1-8b"}, {"quant", "q8_0"}, {"ctx", "4096"}}, desk()).value();
  EXPECT_TRUE(small.at("now").at("fits").as_bool()) << "when what is idle leaves";
  EXPECT_FALSE(small.at("now").at("fits_beside_all").as_bool());
  EXPECT_EQ(small.at("now").at("free_bytes").as_int(), 9 * GiB);
  EXPECT_LT(small.at("now").at("largest_context").as_int(), small.at("largest_context").as_int());
  const Value pictures = answer({{"model", "sdxl"}, {"batch", "auto"}}, desk()).value();
  EXPECT_EQ(pictures.at("batch"), pictures.at("now").at("largest_batch")) << "auto is what fits now";
  EXPECT_LT(pictures.at("batch").as_int(), pictures.at("largest_batch").as_int());
}

// A model that works is neither free nor idle memory.
TEST(Answer, WhatIsLoadedFits) {
  Desk serving = desk();
  serving.own_ask = [](const std::string&) { return std::optional(Ask{.context = 4096, .parallel = 2}); };
  serving.is_loaded = [](const std::string& name) { return name == "llama-3.1-8b"; };
  const Value loaded = answer({{"model", "llama-3.1-8b"}}, serving).value();
  EXPECT_EQ(loaded.at("context").as_int(), 4096);
  EXPECT_EQ(loaded.at("parallel").as_int(), 2);
  EXPECT_TRUE(loaded.at("now").at("is_loaded").as_bool());
  EXPECT_TRUE(loaded.at("now").at("fits").as_bool()) << "16 GB of which none need come from the 11 GiB";
  EXPECT_TRUE(loaded.at("now").at("fits_beside_all").as_bool());
  const Value longer = answer({{"model", "llama-3.1-8b"}, {"ctx", "65536"}}, serving).value();
  EXPECT_FALSE(longer.at("now").at("fits").as_bool()) << "as asked for it is another load";
  const Value other = answer({{"model", "qwen3-8b"}}, serving).value();
  EXPECT_FALSE(other.at("now").at("is_loaded").as_bool());
  EXPECT_FALSE(other.at("now").at("fits").as_bool());
}

TEST(Answer, SaysNothingOfWhereModelsLie) {
  const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "secret-place";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "broken.safetensors").string();
  std::ofstream(path) << "not a model";
  Desk clients = desk();
  clients.shelf.installed = [&](const std::string& name) {
    return name == "broken" ? std::optional(path) : std::nullopt;
  };
  const Error told = answer({{"model", "broken"}}, clients).error();
  EXPECT_EQ(told.message().find("secret-place"), std::string::npos) << told.message();
  EXPECT_NE(told.message().find("broken"), std::string::npos) << told.message();
  clients.shelf.opens_paths = true;
  EXPECT_NE(answer({{"model", "broken"}}, clients).error().message().find(path), std::string::npos);
}

TEST(Answer, UnknownRatesAreNull) {
  Desk unknown = desk();
  unknown.machines = [](const std::string&) -> Result<Machines> {
    Machine m{.name = "this", .memory_bytes = 64 * GiB};
    m.caps = cpu_caps(2);
    return Machines{m, m};
  };
  const Value got = answer({{"model", "qwen3-0.6b"}, {"quant", "q8_0"}}, unknown).value();
  for (const char* field : {"token_seconds", "prefill_seconds", "limit", "joules_per_1000_tokens",
                            "price_per_1000_tokens"}) {
    EXPECT_TRUE(got.at(field).is_null()) << field;
  }
  EXPECT_NE(report_text(got.at("plan")).find("rates are not known"), std::string::npos);
}

TEST(Answer, RefusesInWords) {
  auto refused = [](Fields fields) { return answer(fields, desk()).error(); };
  auto message = [&](Fields fields) { return refused(std::move(fields)).message(); };
  EXPECT_NE(message({}).find("model: missing"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"widht", "512"}}).find("did you mean 'width'"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"width", "-4"}}).find("got '-4', wanted a whole number from 16 to 16384"),
            std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"batch", "many"}}).find("or auto"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"cfg", "much"}}).find("a number from 0 to 100"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"kv_dtype", "q4"}}).find("f32, f16 or bf16"), std::string::npos);
  EXPECT_EQ(refused({{"model", "sdxm"}}).code(), Code::kNotFound);
  EXPECT_NE(message({{"model", "sdxm"}}).find("did you mean 'sdxl'"), std::string::npos);
  EXPECT_NE(message({{"model", "sdxl"}, {"machine", "gb11"}}).find("machine: no machine 'gb11'; did you mean 'gb10'"),
            std::string::npos);
  EXPECT_EQ(refused({{"model", "sdxl"}, {"quant", "fp15"}}).code(), Code::kInvalidArgument);
  EXPECT_EQ(message({{"model", "sdxl"}, {"quant", "fp7"}}).rfind("quant: ", 0), 0u) << "the field is named";
  EXPECT_EQ(refused({{"model", "/etc/hostname"}}).code(), Code::kNotFound) << "paths are not for clients";
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
  EXPECT_GT(sdxl->demand(at).total_bytes(), one + 2 * GiB);
}

TEST(Suggest, NamesTheLargestThatFitsAndIsQuickEnough) {
  const std::optional<Suggestion> spark = best_for(gb10());
  ASSERT_TRUE(spark);
  EXPECT_EQ(spark->name, "qwen3-32b");
  EXPECT_NE(spark->words(gb10()).find("hearth pull hf:"), std::string::npos);
  EXPECT_EQ(best_for(gb10(), 4 * GiB)->name, "qwen3-0.6b");
  EXPECT_EQ(best_for(Catalogue::built_in().machine("h200").value())->name, "llama-3.1-70b");
  EXPECT_FALSE(best_for(gb10(), 16 * MiB));
  Machine slow = gb10();
  slow.bandwidth = 30e9;
  EXPECT_EQ(best_for(slow)->name, "qwen3-4b") << "32 billion would crawl";
}

TEST(Suggest, TakesACpuItDoesNotKnowForTheCataloguesByTheThread) {
  Machine unknown{.name = "this", .memory_bytes = 64 * GiB};
  unknown.caps = cpu_caps(2);
  EXPECT_EQ(best_for(unknown)->name, "qwen3-0.6b") << "two threads read 15 GB/s";
  unknown.caps.threads = 64;
  EXPECT_EQ(best_for(unknown)->name, "qwen3-8b") << "60 GB/s, however many there are";
}

TEST(Charts, ShowTheBudgetAsALine) {
  const std::string svg =
      draw(charts({{resolve("qwen3-0.6b", "q8_0").value(), {.context = 4096}}, {resolve("sdxl", "").value(), {}}},
                  on_gb10()));
  EXPECT_EQ(svg.rfind("<svg", 0), 0u);
  EXPECT_NE(svg.find("budget "), std::string::npos);
  EXPECT_NE(svg.find("tokens of context"), std::string::npos);
  EXPECT_NE(svg.find("pictures at once"), std::string::npos);
  EXPECT_EQ(draw({{.title = "a < b & \"c\""}}).find("a < b"), std::string::npos) << "text is escaped";
}

}  // namespace
}  // namespace hearth::planner
