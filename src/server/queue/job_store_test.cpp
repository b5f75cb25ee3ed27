// The queue on disk: order, history, and what is left of it after a crash.
#include "server/queue/job_store.h"

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/testing/temp_folder.h"
#include "formats/json/json.h"
#include "server/queue/job_views.h"

namespace hearth::server {
namespace {

class JobStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_level(log::Level::kOff);
    open();
  }
  void TearDown() override {
    store_.reset();
    log::set_level(log::Level::kInfo);
  }
  void open() {
    store_.reset();
    store_.emplace(file(), 1000);
  }
  std::filesystem::path file() const { return folder_ / "queue.sqlite"; }
  double accept(const std::string& id, std::optional<double> number = {}, bool front = false) {
    NewJob job{.id = id, .number = number, .front = front, .client_id = "client", .workflow_id = "w", .created_ms = 5};
    const Value prompt = json::parse(R"({"1":{"class_type":"A","inputs":{"seed":18446744073709551615}}})").value();
    job.item = comfy::item_texts(prompt, Value::object({{"create_time", 5}}), {"1"});
    return *store_->accept(job);
  }
  std::string begin() {
    auto job = store_->begin_next(10);
    if (job) last_ = *job;
    return job ? job->facts.id : "";
  }
  void finish(comfy::JobEnd end = comfy::JobEnd::kCompleted) {
    last_.facts.ended_ms = 30;
    comfy::JobResults results;
    results.end = end;
    store_->finish(last_.facts, results);
  }
  Value view(std::string (JobViews::*read)()) {
    JobViews views(file());
    return json::parse((views.*read)()).value();
  }
  Value history(std::optional<int64_t> most = {}, std::optional<int64_t> offset = {}) {
    return json::parse(JobViews(file()).history(most, offset)).value();
  }

  hearth::testing::TempFolder temp_;
  const std::filesystem::path folder_ = temp_.path();
  std::optional<JobStore> store_;
  StoredJob last_;
};

TEST_F(JobStoreTest, NumbersGiveTheOrder) {
  EXPECT_EQ(accept("a"), 0);
  EXPECT_EQ(accept("b"), 1);
  EXPECT_EQ(accept("c", 0.5), 0.5);       // does not move the counter
  EXPECT_EQ(accept("d", {}, true), -2);   // in front, and moves it
  EXPECT_EQ(accept("e"), 3);
  EXPECT_EQ(store_->remaining(), 5);
  std::string order;
  for (int i = 0; i < 5; ++i) {
    order += begin();
    finish();
  }
  EXPECT_EQ(order, "dacbe");
  EXPECT_EQ(begin(), "");
  EXPECT_EQ(store_->remaining(), 0);
}

TEST_F(JobStoreTest, ItemsKeepWhatWasSent) {
  accept("a");
  const Value queue = view(&JobViews::queue);
  EXPECT_EQ(json::write(queue),
            R"({"queue_running":[],"queue_pending":[[0,"a",{"1":{"class_type":"A","inputs":)"
            R"({"seed":18446744073709551615}}},{"create_time":5},["1"]]]})");
  EXPECT_EQ(begin(), "a");
  EXPECT_EQ(last_.client_id, "client");
  EXPECT_EQ(view(&JobViews::queue).at("queue_running").size(), 1u);
  EXPECT_EQ(history().size(), 0u);
  finish();
  EXPECT_EQ(view(&JobViews::queue).at("queue_running").size(), 0u);
  const Value entry = history().at("a");
  EXPECT_EQ(json::write(entry.at("prompt").as_list()[0]), "0");
  EXPECT_EQ(json::write(entry.at("status")), R"({"status_str":"success","completed":true,"messages":[]})");
}

TEST_F(JobStoreTest, HistoryIsReadInPieces) {
  for (const char* id : {"a", "b", "c", "d"}) {
    accept(id);
    begin();
    finish();
  }
  auto ids = [](const Value& entries) {
    std::string out;
    for (const auto& [id, entry] : entries.as_object()) out += id;
    return out;
  };
  EXPECT_EQ(ids(history()), "abcd");
  EXPECT_EQ(ids(history(2)), "cd");
  EXPECT_EQ(ids(history(2, 1)), "bc");
  EXPECT_EQ(ids(history({}, 3)), "d");
  EXPECT_EQ(store_->remove_history({"a", "z"}), 1);
  EXPECT_EQ(store_->clear_history(), 3);
  EXPECT_EQ(ids(history()), "");
}

TEST_F(JobStoreTest, AnIdIsOneJob) {
  accept("a");
  EXPECT_THROW(accept("a"), Error);
  begin();
  EXPECT_THROW(accept("a"), Error);
  finish();
  accept("a");  // replaces the entry of the history
  EXPECT_EQ(history().size(), 0u);
  EXPECT_EQ(store_->remaining(), 1);
}

TEST_F(JobStoreTest, ACrashedJobRunsOnceMore) {
  accept("a");
  accept("b");
  EXPECT_EQ(begin(), "a");
  open();
  EXPECT_EQ(store_->remaining(), 2);
  EXPECT_EQ(begin(), "a");
  EXPECT_EQ(last_.attempt, 2);
  open();
  EXPECT_EQ(begin(), "b");  // the first one is not run a third time
  EXPECT_EQ(last_.attempt, 1);
  const Value entry = history().at("a");
  EXPECT_EQ(entry.at("status").at("status_str").as_string(), "error");
  const Value& message = entry.at("status").at("messages").as_list().at(0);
  EXPECT_EQ(message.as_list()[0].as_string(), "execution_error");
  EXPECT_EQ(message.as_list()[1].at("exception_type").as_string(), "hearth.InterruptedByCrash");
  EXPECT_NE(message.as_list()[1].at("exception_message").as_string().find("2 times"), std::string::npos);
}

// A file that nobody will be told of does not stay; files of jobs that came to their end do.
TEST_F(JobStoreTest, WhatACutOffJobWroteGoes) {
  auto write = [&](const std::string& id, const std::string& name) {
    const std::string path = folder_ / name;
    store_->note_file(id, path);
    ASSERT_TRUE(write_text(path, "picture"));
  };
  auto there = [&](const std::string& name) { return std::filesystem::exists(folder_ / name); };
  accept("a");
  accept("b");
  begin();
  write("a", "done.png");
  finish();
  EXPECT_EQ(begin(), "b");
  write("b", "whole.png");
  store_->note_file("b", folder_ / "half.png");
  ASSERT_TRUE(write_text(folder_ / "half.png.new", "pic"));
  store_->note_file("b", folder_ / "never.png");
  open();
  EXPECT_TRUE(there("done.png"));
  EXPECT_FALSE(there("whole.png") || there("half.png") || there("half.png.new"));

  EXPECT_EQ(begin(), "b");
  write("b", "again.png");
  store_->put_back("b");
  EXPECT_FALSE(there("again.png"));
  EXPECT_EQ(begin(), "b");
  write("b", "last.png");
  finish();
  open();
  EXPECT_TRUE(there("last.png"));
}

TEST_F(JobStoreTest, AnOlderDatabaseIsTakenOver) {
  accept("a");
  store_.reset();
  {
    Database database(file(), Database::Mode::kWrite);
    database.execute("DROP TABLE files; PRAGMA user_version=1");
  }
  open();
  EXPECT_EQ(begin(), "a");
  store_->note_file("a", folder_ / "a.png");
  finish();
  EXPECT_EQ(history().size(), 1u);
}

TEST_F(JobStoreTest, StoppingIsNoCrash) {
  accept("a");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(begin(), "a");
    EXPECT_EQ(last_.attempt, 1);
    store_->put_back("a");
    open();
  }
  EXPECT_EQ(store_->remaining(), 1);
}

TEST_F(JobStoreTest, TheCounterGoesOnAfterARestart) {
  accept("a");
  accept("b");
  open();
  EXPECT_EQ(accept("c"), 2);
}

TEST_F(JobStoreTest, RemovesOnlyWhatWaits) {
  accept("a");
  accept("b");
  accept("c");
  begin();
  EXPECT_EQ(store_->remove_waiting({"a", "b", "nobody"}), 1);
  EXPECT_EQ(store_->clear_waiting(), 1);
  EXPECT_EQ(store_->remaining(), 1);
}

TEST_F(JobStoreTest, OneServerHasTheQueue) {
  try {
    JobStore second(file(), 0);
    FAIL() << "two stores have one file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBusy);
  }
}

TEST_F(JobStoreTest, JobsAreListedFilteredAndSorted) {
  for (const char* id : {"a", "b", "c", "d"}) accept(id);
  begin();
  finish();
  begin();
  finish(comfy::JobEnd::kFailed);
  begin();
  auto ids = [&](const JobsQuery& query) {
    const Value answer = json::parse(JobViews(file()).jobs(query)).value();
    std::string out;
    for (const Value& job : answer.at("jobs").as_list()) out += job.at("id").as_string();
    return out + (answer.at("pagination").at("has_more").as_bool() ? "+" : "");
  };
  EXPECT_EQ(ids({}), "dcba");
  EXPECT_EQ(ids({.statuses = {"pending", "in_progress"}, .ascending = true}), "cd");
  EXPECT_EQ(ids({.statuses = {"failed"}}), "b");
  EXPECT_EQ(ids({.workflow_id = "other"}), "");
  EXPECT_EQ(ids({.offset = 1, .limit = 2}), "cb+");
  const Value job = json::parse(JobViews(file()).job("b")).value();
  EXPECT_EQ(job.at("status").as_string(), "failed");
  EXPECT_EQ(job.at("execution_end_time").as_int(), 30);
  EXPECT_EQ(job.at("workflow").at("extra_data").at("create_time").as_int(), 5);
  EXPECT_EQ(job.at("execution_status").at("status_str").as_string(), "error");
  EXPECT_EQ(JobViews(file()).job("nobody"), "");
}

TEST_F(JobStoreTest, AFileThatIsNoDatabaseIsRefused) {
  store_.reset();
  ASSERT_TRUE(write_text(file(), "this is no database, but it is long enough to have a header of one"));
  std::filesystem::remove(file().string() + "-wal");
  std::filesystem::remove(file().string() + "-shm");
  try {
    open();
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorruptFile);
  }
}

}  // namespace
}  // namespace hearth::server
