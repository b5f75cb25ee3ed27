// Order, events, lists, cache and interruption, with fake nodes.
#include "workflow/execute/run_job.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "formats/json/json.h"
#include "workflow/testing/fixture.h"

namespace hearth::workflow {
namespace {

using testing::Bench;
using testing::parse;
using Lines = std::vector<std::string>;

class Running : public ::testing::Test {
 protected:
  std::map<std::string, int> calls_;
  Bench bench_{testing::fake_registry(calls_)};

  Lines executing() const {
    Lines ids;
    for (const std::string& line : bench_.events.lines) {
      if (line.starts_with("executing ")) ids.push_back(line.substr(10));
    }
    return ids;
  }
  std::string shown(const JobResult& result, const char* id) { return json::write(result.outputs.at(id).at("text")); }
};

constexpr const char* kSum = R"({"1": {"class_type": "Number", "inputs": {"value": 2}},
  "2": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": 3}}, "3": {"class_type": "Show", "inputs": {"value": ["2", 0]}}})";

TEST_F(Running, EventsComeInTheOrderOfTheProtocol) {
  JobResult result = bench_.run(kSum);
  EXPECT_EQ(result.end, JobResult::End::kSuccess);
  EXPECT_EQ(bench_.events.lines,
            (Lines{"execution_start", "execution_cached []", "progress_state 1 running", "executing 1",
                   "progress_state 1 finished", "progress_state 2 running", "executing 2", "progress_state 2 finished",
                   "progress_state 3 running", "executing 3", R"(executed 3 {"text":[5]})", "progress_state 3 finished",
                   "execution_success"}));
  EXPECT_EQ(json::write(result.outputs), R"({"3":{"text":[5]}})");
  EXPECT_EQ(json::write(result.meta),
            R"({"3":{"node_id":"3","display_node":"3","parent_node":null,"real_node_id":"3"}})");
  ASSERT_EQ(result.messages.size(), 3u);
  EXPECT_EQ(result.messages.as_list()[2].as_list()[0].as_string(), "execution_success");
  EXPECT_GT(result.messages.as_list()[0].as_list()[1].at("timestamp").as_int(), 0);
}

TEST_F(Running, ASecondRunIsAnsweredFromTheCache) {
  bench_.run(kSum);
  JobResult again = bench_.run(kSum);
  EXPECT_EQ(bench_.events.lines,
            (Lines{"execution_start", R"(execution_cached ["1","2","3"])", R"(executed 3 {"text":[5]})",
                   "progress_state 3 finished", "execution_success"}));
  EXPECT_EQ(calls_["Number"], 1);
  EXPECT_EQ(shown(again, "3"), "[5]");
  // Under other ids it is the same work.
  JobResult renamed = bench_.run(R"({"a": {"class_type": "Number", "inputs": {"value": 2}},
      "b": {"class_type": "Add", "inputs": {"b": 3, "a": ["a", 0]}}, "c": {"class_type": "Show", "inputs": {"value": ["b", 0]}}})");
  EXPECT_EQ(calls_["Add"], 1);
  EXPECT_EQ(json::write(renamed.meta.at("c").at("node_id")), R"("c")");
}

TEST_F(Running, OnlyWhatChangedRunsAgain) {
  bench_.run(kSum);
  bench_.run(R"({"1": {"class_type": "Number", "inputs": {"value": 2}},
      "2": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": 4}}, "3": {"class_type": "Show", "inputs": {"value": ["2", 0]}}})");
  EXPECT_EQ(executing(), (Lines{"2", "3"}));
  EXPECT_EQ(calls_["Number"], 1);
}

TEST_F(Running, EqualNodesOfOnePromptRunOnce) {
  JobResult result = bench_.run(R"({"1": {"class_type": "Number", "inputs": {"value": 2}}, "2": {"class_type": "Number",
      "inputs": {"value": 2}}, "3": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": ["2", 0]}},
      "4": {"class_type": "Show", "inputs": {"value": ["3", 0]}}})");
  EXPECT_EQ(calls_["Number"], 1);
  EXPECT_EQ(shown(result, "4"), "[4]");
}

TEST_F(Running, ChangingAndLoudNodes) {
  const char* changing =
      R"({"1": {"class_type": "Changing", "inputs": {}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}})";
  bench_.run(changing);
  EXPECT_EQ(shown(bench_.run(changing), "2"), "[2]");
  const char* loud = R"({"1": {"class_type": "Loud", "inputs": {}}, "2": {"class_type": "Loud", "inputs": {}},
      "3": {"class_type": "Show", "inputs": {"value": ["1", 0]}}, "4": {"class_type": "Show", "inputs": {"value": ["2", 0]}}})";
  bench_.run(loud);
  bench_.run(loud);
  EXPECT_EQ(calls_["Loud"], 2) << "each id its own result, kept for that id";
}

TEST_F(Running, TheCacheIsBoundedByBytesAndForgetsTheOldest) {
  Cache cache(1000);
  for (const char* name : {"a", "b", "c"}) {
    cache.put(name, std::make_shared<CacheEntry>(CacheEntry{.bytes = 400, .keeps_model = *name == 'b'}));
    cache.find("a");
  }
  EXPECT_TRUE(cache.find("a"));
  EXPECT_FALSE(cache.find("b"));
  EXPECT_EQ(cache.held_bytes(), 800);
  cache.put("huge", std::make_shared<CacheEntry>(CacheEntry{.bytes = 2000}));
  EXPECT_FALSE(cache.find("huge"));
  cache.put("m", std::make_shared<CacheEntry>(CacheEntry{.bytes = 1, .keeps_model = true}));
  cache.drop_models();
  EXPECT_EQ(cache.size(), 2u);
  cache.clear();
  EXPECT_EQ(cache.held_bytes(), 0);
}

TEST_F(Running, WithoutACacheAJobStillRuns) {
  Bench small(testing::fake_registry(calls_), 0);
  EXPECT_EQ(shown(small.run(kSum), "3"), "[5]");
  EXPECT_EQ(small.cache.size(), 0u);
}

TEST_F(Running, OnlyAncestorsOfOutputsRun) {
  bench_.run(
      R"({"9": {"class_type": "Fail", "inputs": {"value": 1}}, "1": {"class_type": "Show", "inputs": {"value": 1}}})");
  EXPECT_EQ(executing(), Lines{"1"});
}

TEST_F(Running, OutputsComeAsSoonAsTheyCan) {
  // Two chains; the one that ends in an output two steps away goes first, though the other was found first.
  bench_.run(
      R"({"1": {"class_type": "Number", "inputs": {"value": 1}}, "2": {"class_type": "Add", "inputs": {"a": ["1", 0]}},
      "3": {"class_type": "Add", "inputs": {"a": ["2", 0]}}, "4": {"class_type": "Add", "inputs": {"a": ["3", 0], "b": ["5", 0]}},
      "6": {"class_type": "Show", "inputs": {"value": ["4", 0]}}, "5": {"class_type": "Number", "inputs": {"value": 2}},
      "7": {"class_type": "Show", "inputs": {"value": ["5", 0]}}})");
  EXPECT_EQ(executing(), (Lines{"5", "7", "1", "2", "3", "4", "6"}));
}

TEST_F(Running, ListsAreMappedAndShorterOnesRepeatTheirLast) {
  JobResult result = bench_.run(
      R"({"1": {"class_type": "List", "inputs": {"count": 3}}, "2": {"class_type": "List", "inputs": {"count": 2}},
      "3": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": ["2", 0]}}, "4": {"class_type": "Show", "inputs": {"value": ["3", 0]}},
      "5": {"class_type": "Sum", "inputs": {"items": ["3", 0], "plus": 1}}, "6": {"class_type": "Show", "inputs": {"value": ["5", 0]}}})");
  EXPECT_EQ(shown(result, "4"), "[0,2,3]");
  EXPECT_EQ(shown(result, "6"), "[6]");
  EXPECT_EQ(calls_["Add"], 3);
  JobResult empty = bench_.run(R"({"1": {"class_type": "List", "inputs": {"count": 0}},
      "4": {"class_type": "Show", "inputs": {"value": ["1", 0]}}})");
  EXPECT_EQ(empty.end, JobResult::End::kError);
}

TEST_F(Running, LazyInputsRunOnlyWhenAskedFor) {
  JobResult result = bench_.run(
      R"({"1": {"class_type": "Number", "inputs": {"value": 4}}, "2": {"class_type": "Fail", "inputs": {"value": 1}},
      "3": {"class_type": "Choose", "inputs": {"first": true, "a": ["1", 0], "b": ["2", 0]}},
      "4": {"class_type": "Show", "inputs": {"value": ["3", 0]}}})");
  EXPECT_EQ(result.end, JobResult::End::kSuccess);
  EXPECT_EQ(shown(result, "4"), "[4]");
}

TEST_F(Running, AFailureEndsThePromptAndSaysWhere) {
  JobResult result = bench_.run(
      R"({"1": {"class_type": "Number", "inputs": {"value": 4}}, "2": {"class_type": "Fail", "inputs": {"value": ["1", 0]}},
      "3": {"class_type": "Show", "inputs": {"value": ["2", 0]}}})");
  EXPECT_EQ(result.end, JobResult::End::kError);
  const auto& [type, data] = bench_.events.frames.back();
  EXPECT_EQ(type, "execution_error");
  EXPECT_EQ(data.at("node_id").as_string(), "2");
  EXPECT_EQ(data.at("node_type").as_string(), "Fail");
  EXPECT_EQ(data.at("exception_message").as_string(), "no such thing\n");
  EXPECT_EQ(data.at("exception_type").as_string(), "ValueError");
  EXPECT_EQ(json::write(data.at("current_inputs")), R"({"value":[4]})");
  EXPECT_EQ(json::write(data.at("executed")), R"(["1"])");
  EXPECT_TRUE(data.at("traceback").is_list());
  EXPECT_EQ(result.messages.size(), 3u);
}

TEST_F(Running, AnInterruptEndsANodeBetweenItsSteps) {
  bench_.events.on_line = [&](const std::string& line) {
    if (line == "step 1 2/4") bench_.stop = true;
  };
  JobResult result = bench_.run(
      R"({"1": {"class_type": "Slow", "inputs": {"steps": 4}}, "3": {"class_type": "Show", "inputs": {"value": ["1", 0]}}})");
  EXPECT_EQ(result.end, JobResult::End::kInterrupted);
  EXPECT_EQ(bench_.events.lines.back(), "execution_interrupted 1");
  EXPECT_EQ(std::count(bench_.events.lines.begin(), bench_.events.lines.end(), "step 1 3/4"), 0);
  bench_.stop = false;
  EXPECT_EQ(bench_.run(kSum).end, JobResult::End::kSuccess) << "the next prompt runs as ever";
}

TEST_F(Running, AnInterruptTakesEffectBetweenNodes) {
  bench_.events.on_line = [&](const std::string& line) {
    if (line == "progress_state 1 finished") bench_.stop = true;
  };
  JobResult result = bench_.run(kSum);
  EXPECT_EQ(result.end, JobResult::End::kInterrupted);
  EXPECT_EQ(bench_.events.lines.back(), "execution_interrupted 2");
  EXPECT_EQ(calls_["Add"], 0);
}

TEST_F(Running, TenThousandNodesInAChain) {
  Value prompt = Value::object();
  constexpr int kNodes = 10000;
  for (int i = 0; i < kNodes; ++i) {
    Value a = i == 0 ? Value(0) : Value(Value::List{std::to_string(i - 1), 0});
    prompt.set(std::to_string(i),
               Value::object({{"class_type", "Add"}, {"inputs", Value::object({{"a", a}, {"b", 1}})}}));
  }
  prompt.set("out", Value::object({{"class_type", "Show"},
                                   {"inputs", Value::object({{"value", Value(Value::List{"9999", 0})}})}}));
  JobResult result = bench_.run_value(prompt);
  EXPECT_EQ(shown(result, "out"), "[10000]");
}

TEST_F(Running, MemoryThatRunsOutIsAskedForOnceMore) {
  int tries = 0, freed = 0;
  bench_.registry.add({.class_name = "Hungry", .inputs = {}, .outputs = {{"INT"}}, .run = [&](NodeCall&) -> NodeResult {
                         if (++tries == 1) throw Error(Code::kNoMemory, "no room");
                         return give(NodeValue(Value(1)));
                       }});
  bench_.services.free_unused = [&] { ++freed; };
  JobResult result = bench_.run(
      R"({"1": {"class_type": "Hungry", "inputs": {}}, "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}})");
  EXPECT_EQ(result.end, JobResult::End::kSuccess);
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(freed, 1);
}

}  // namespace
}  // namespace hearth::workflow
