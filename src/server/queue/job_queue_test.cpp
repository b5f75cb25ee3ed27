// The worker and its queue over the scripted backend.
#include "server/queue/job_queue.h"

#include <future>

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/testing/temp_folder.h"
#include "formats/json/json.h"
#include "server/testing/scripted_comfy.h"

namespace hearth::server {
namespace {

// Writes down what happens; wait_for() returns once a line has come.
class Diary final : public JobListener, public workflow::JobEvents {
 public:
  void queue_changed(int64_t remaining) override { add("status " + std::to_string(remaining)); }
  workflow::JobEvents& job_begins(const RunningJob& job) override {
    add("begin " + job.id + (job.secrets.size() > 0 ? " with secrets" : ""));
    return *this;
  }
  void job_ended(const RunningJob& job) override { add("end " + job.id); }
  void send(std::string_view type, const Value& data) override {
    if (type != "progress_state") add(std::string(type));
  }
  void send_step(const workflow::Step& step) override {}

  bool wait_for(const std::string& line) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      return std::find(lines_.begin(), lines_.end(), line) != lines_.end();
    });
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  void add(std::string line) {
    std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

class JobQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_level(log::Level::kOff);
    backend_.emplace(folder_);
    open();
  }
  void TearDown() override {
    queue_.reset();
    log::set_level(log::Level::kInfo);
  }
  void open() {
    queue_.reset();
    queue_.emplace(folder_ / "queue.sqlite", *backend_, diary_);
  }
  double accept(const std::string& id, const char* class_name, Value secrets = Value::object()) {
    NewJob job{.id = id, .client_id = "c", .created_ms = 1};
    const Value prompt = Value::object(
        {{"1", Value::object({{"class_type", class_name}, {"inputs", Value::object()}})}});
    job.item = comfy::item_texts(prompt, Value::object(), {"1"});
    std::promise<double> number;
    queue_->accept(std::move(job), std::move(secrets), [&](Result<double> got) { number.set_value(got ? *got : -1); });
    return number.get_future().get();
  }
  Value read(std::function<std::string(JobViews&)> view) {
    std::promise<std::string> text;
    queue_->view(std::move(view), [&](Result<std::string> got) { text.set_value(*got); });
    return json::parse(text.get_future().get()).value();
  }
  Value history() {
    return read([](JobViews& views) { return views.history({}, {}); });
  }

  hearth::testing::TempFolder temp_;
  const std::filesystem::path folder_ = temp_.path();
  std::optional<ScriptedComfy> backend_;
  Diary diary_;
  std::optional<JobQueue> queue_;
};

TEST_F(JobQueueTest, TellsTheCourseOfAJobInOrder) {
  EXPECT_EQ(accept("a", "SaveImage"), 0);
  queue_->start();
  ASSERT_TRUE(diary_.wait_for("end a"));
  EXPECT_EQ(diary_.lines(), (std::vector<std::string>{
                                "status 1", "status 1", "begin a", "execution_start", "execution_cached", "executing",
                                "executed", "execution_success", "status 0", "end a"}));
  const Value entry = history().at("a");
  EXPECT_TRUE(entry.at("status").at("completed").as_bool());
  EXPECT_EQ(entry.at("outputs").at("1").at("images").as_list()[0].at("type").as_string(), "output");
}

TEST_F(JobQueueTest, TheHistoryHasAJobBeforeStatusSaysSo) {
  queue_->start();
  accept("a", "Wait");
  ASSERT_TRUE(diary_.wait_for("executing"));
  EXPECT_EQ(history().size(), 0u);
  EXPECT_TRUE(queue_->interrupt("a"));
  ASSERT_TRUE(diary_.wait_for("status 0"));
  EXPECT_EQ(history().size(), 1u);
  EXPECT_EQ(read([](JobViews& views) { return views.queue(); }).at("queue_running").size(), 0u);
}

TEST_F(JobQueueTest, InterruptsOnlyTheJobThatIsMeant) {
  queue_->start();
  EXPECT_FALSE(queue_->interrupt(""));
  accept("a", "Wait");
  ASSERT_TRUE(diary_.wait_for("executing"));
  EXPECT_FALSE(queue_->interrupt("b"));
  EXPECT_TRUE(queue_->interrupt(""));
  ASSERT_TRUE(diary_.wait_for("end a"));
  const Value job = read([](JobViews& views) { return views.job("a"); });
  EXPECT_EQ(job.at("status").as_string(), "cancelled");
}

TEST_F(JobQueueTest, CancelsWhatWaitsAndWhatRuns) {
  queue_->start();
  accept("a", "Wait");
  ASSERT_TRUE(diary_.wait_for("executing"));
  accept("b", "SaveImage");
  auto cancel = [&](std::vector<std::string> ids) {
    std::promise<bool> found;
    queue_->cancel(std::move(ids), [&](Result<bool> got) { found.set_value(*got); });
    return found.get_future().get();
  };
  EXPECT_TRUE(cancel({"b"}));
  EXPECT_FALSE(cancel({"b"}));
  EXPECT_EQ(queue_->remaining(), 1);
  EXPECT_TRUE(cancel({"a"}));
  ASSERT_TRUE(diary_.wait_for("end a"));
  EXPECT_EQ(history().size(), 1u);
}

TEST_F(JobQueueTest, WhatThrowsFailsAlone) {
  queue_->start();
  accept("a", "Throw");
  accept("b", "Fail");
  accept("c", "SaveImage");
  ASSERT_TRUE(diary_.wait_for("end c"));
  const Value entries = history();
  const Value& message = entries.at("a").at("status").at("messages").as_list().back();
  EXPECT_EQ(message.as_list()[1].at("exception_type").as_string(), "hearth.device");
  EXPECT_EQ(entries.at("b").at("status").at("status_str").as_string(), "error");
  EXPECT_EQ(entries.at("c").at("status").at("status_str").as_string(), "success");
}

TEST_F(JobQueueTest, StoppingPutsTheRunningJobBack) {
  queue_->start();
  accept("a", "Wait");
  accept("b", "SaveImage");
  ASSERT_TRUE(diary_.wait_for("executing"));
  queue_->stop();
  EXPECT_EQ(history().size(), 0u);
  open();
  EXPECT_EQ(queue_->remaining(), 2);
  EXPECT_EQ(read([](JobViews& views) { return views.queue(); }).at("queue_pending").size(), 2u);
}

TEST_F(JobQueueTest, ReleasesBetweenJobs) {
  queue_->start();
  accept("a", "Wait");
  ASSERT_TRUE(diary_.wait_for("executing"));
  queue_->release(true, false);
  queue_->release(false, true);
  EXPECT_TRUE(backend_->released().empty());
  queue_->interrupt("a");
  ASSERT_TRUE(diary_.wait_for("end a"));
  accept("b", "SaveImage");
  ASSERT_TRUE(diary_.wait_for("end b"));
  EXPECT_EQ(backend_->released(), std::vector<std::string>{"models+cache"});
}

TEST_F(JobQueueTest, SecretsReachTheRunAndNoFile) {
  accept("a", "SaveImage", Value::object({{"api_key_comfy_org", "hush-hush"}}));
  queue_->start();
  ASSERT_TRUE(diary_.wait_for("end a"));
  EXPECT_TRUE(diary_.wait_for("begin a with secrets"));
  queue_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(read_text(entry.path(), 1 << 24)->find("hush-hush"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace hearth::server
