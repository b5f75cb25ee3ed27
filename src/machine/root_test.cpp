// Facts of a recorded machine, and tools of the real one: output, exit status, a tool that hangs, one that is missing.
#include "machine/root.h"

#include <gtest/gtest.h>

#include "machine/testing/recording.h"
#include "machine/tool.h"

namespace hearth::machine {
namespace {

using std::chrono::milliseconds;

TEST(Root, RecordedFilesFoldersAndTools) {
  testing::Recording recording;
  recording.put("/sys/class/net/eth0/mtu", "9000\n");
  recording.put("/sys/class/net/aaa/mtu", "1500\n");
  recording.answer({"nvidia-smi", "--query-gpu=name,driver_version", "--format=csv"}, "GB10, 580.95\n");
  const Root root = recording.root();
  EXPECT_EQ(root.names("/sys/class/net"), (std::vector<std::string>{"aaa", "eth0"}));
  EXPECT_EQ(root.text("/sys/class/net/eth0/mtu"), "9000\n");
  EXPECT_FALSE(root.text("/sys/class/net/none"));
  EXPECT_FALSE(root.text("/sys/class/net")) << "a folder is no file";
  const std::optional<ToolOutput> said = root.run({"nvidia-smi", "--query-gpu=name,driver_version", "--format=csv"});
  ASSERT_TRUE(said);
  EXPECT_EQ(said->exit_status, 0);
  EXPECT_EQ(said->text, "GB10, 580.95\n");
  EXPECT_FALSE(root.run({"uname", "-m"})) << "a recorded machine never runs this machine's tools";
}

struct Seen : Witness {
  std::vector<std::string> what;
  void saw_text(std::string_view path, const std::string& text) override { what.push_back(std::string(path) + "=" +
      text); }
  void saw_names(std::string_view folder, const std::vector<std::string>& names) override {
    what.push_back(std::string(folder) + "/" + names.at(0));
  }
  void saw_link(std::string_view path, const std::string&) override { what.emplace_back(path); }
  void saw_output(const Command& command, const ToolOutput& output) override { what.push_back(command[0] +
      output.text); }
};

TEST(Root, AWitnessIsToldWhatExistsAndNothingElse) {
  testing::Recording recording;
  recording.put("/proc/version", "Linux 6.14\n");
  recording.answer({"uname"}, "Linux\n");
  Seen seen;
  const Root root(seen, recording.root().resolve(""));
  EXPECT_EQ(root.head("/proc/version", 5), "Linux");
  EXPECT_FALSE(root.text("/proc/none"));
  EXPECT_TRUE(root.has("/proc/version"));
  EXPECT_FALSE(root.has("/proc/none"));
  EXPECT_TRUE(root.run({"uname"}));
  EXPECT_FALSE(root.run({"other"}));
  EXPECT_EQ(seen.what, (std::vector<std::string>{"/proc/version=Linux", "/proc/version", "unameLinux\n"}));
}

TEST(Recording, ChangingACopyLeavesTheMachineAsItWas) {
  testing::Recording machine;
  machine.put("/proc/meminfo", "MemTotal: 1 kB\n");
  machine.put("/sys/a/b", "1\n");
  testing::Recording copy(machine.root().resolve(""));
  copy.change("/proc/meminfo", "1 kB", "2 kB");
  copy.remove("/sys/a");
  EXPECT_EQ(copy.root().text("/proc/meminfo"), "MemTotal: 2 kB\n");
  EXPECT_FALSE(copy.root().has("/sys/a/b"));
  EXPECT_EQ(machine.root().text("/proc/meminfo"), "MemTotal: 1 kB\n");
  EXPECT_EQ(machine.root().text("/sys/a/b"), "1\n");
}

TEST(Root, LiveFilesOfProcHaveNoSize) {
  const std::optional<std::string> status = Root().text("/proc/self/status");
  ASSERT_TRUE(status);
  EXPECT_TRUE(field_of(*status, "VmRSS"));
}

TEST(Tool, SpeaksAndFails) {
  const std::optional<ToolOutput> spoken = run_tool({"sh", "-c", "echo out; echo err >&2; exit 3"}, milliseconds(5000));
  ASSERT_TRUE(spoken);
  EXPECT_EQ(spoken->exit_status, 3);
  EXPECT_EQ(spoken->text, "out\nerr\n");
  EXPECT_FALSE(run_tool({"no-such-program-here"}, milliseconds(5000)));
  EXPECT_FALSE(run_tool({"sh", "-c", "exit 127"}, milliseconds(5000))) << "as a child says that could not begin";
  EXPECT_TRUE(run_tool({"sh", "-c", "no-such-program-here"}, milliseconds(5000))) << "the shell was there";
}

TEST(Tool, OneThatHangsEndsWithWhatItStarted) {
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(run_tool({"sh", "-c", "sleep 600 & sleep 600"}, milliseconds(100)));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
}

TEST(Fields, OfLineOrientedTexts) {
  EXPECT_EQ(field_of("NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\n", "VERSION_ID"), "24.04");
  EXPECT_EQ(field_of("  Model:  GB10 \n", "Model"), "GB10");
  EXPECT_FALSE(field_of("Models: 3\n", "Model"));
  EXPECT_EQ(lines_of("a\n\nb"), (std::vector<std::string>{"a", "", "b"}));
}

}  // namespace
}  // namespace hearth::machine
