// Reports, fix script, environment advice, other programs, the machine sheet and recordings, on recorded machines.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/testing/temp_folder.h"
#include "doctor/environment.h"
#include "doctor/record.h"
#include "doctor/report/report.h"
#include "doctor/targets.h"
#include "doctor/testing/machines.h"
#include "doctor/version.h"
#include "machine/tool.h"

namespace hearth::doctor {
namespace {

using machine::testing::Recording;
using testing::install;
using testing::machine_folder;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Report report_of(const machine::Root& root, Options options = {}) { return examine(Context(root, std::move(options))); }

// A GB10 with a failure, a warning and a note.
struct BrokenGb10 : Recording {
  BrokenGb10();
};

BrokenGb10::BrokenGb10() : Recording(machine_folder("gb10")) {
  BrokenGb10& machine = *this;
  machine.answer(testing::kRuntimes, "{\"runc\":{}}\n");
  install(machine, "torch", "2.7.0+cu128");
  testing::gauge(machine, 208, 4.3, 41, 0, false);
}

TEST(Version, NumbersCountNotLetters) {
  EXPECT_TRUE(is_below("0.11.1rc3", "0.11.2"));
  EXPECT_EQ(Version("3.6"), Version("3.6.0"));
  EXPECT_TRUE(is_below("3.10", "3.11") && is_below("9", "10"));
  EXPECT_EQ(Version("2.9.1+cu130").local(), "cu130");
  EXPECT_FALSE(Version("main").is_known());
}

TEST(Text, WorstFirstWithEvidenceAndCure) {
  BrokenGb10 machine;
  const std::string text = as_text(report_of(machine.root()));
  const size_t failure = text.find("failure"), warning = text.find("warning"), note = text.find("note ");
  ASSERT_NE(failure, text.npos);
  EXPECT_LT(failure, warning);
  EXPECT_LT(warning, note);
  EXPECT_TRUE(has(text, "nvidia-ctk runtime configure --runtime=docker"));
  EXPECT_TRUE(has(text, "torch 2.7.0+cu128"));
  EXPECT_TRUE(has(text, "GB10, 121.70 GiB shared by CPU and GPU")) << text;
  EXPECT_FALSE(has(text, "\x1b[")) << "colour without a terminal";
  EXPECT_TRUE(has(as_text(report_of(machine.root()), {.has_colour = true}), "\x1b[31m"));
}

TEST(Text, AReadingThatManyChecksLackIsNamedOnce) {
  const Recording nothing;
  const std::string text = as_text(report_of(nothing.root()));
  const std::string cause = "neither a driver nor /sys/bus/pci/devices could be read";
  const size_t first = text.find(cause);
  ASSERT_NE(first, text.npos);
  EXPECT_EQ(text.find(cause, first + 1), text.npos) << text;
  const size_t rows = text.find("rows 2, 3, 4, 5, 22");
  EXPECT_NE(rows, text.npos) << text;
  const std::string all = as_text(report_of(nothing.root()), {.shows_all = true});
  EXPECT_NE(all.find(cause, all.find(cause) + 1), all.npos) << "--all lists every check";
}

TEST(Json, HoldsEveryRowAndTheExitCode) {
  BrokenGb10 machine;
  const Value value = as_value(report_of(machine.root()));
  EXPECT_EQ(value.at("exit_code").as_int(), 2);
  EXPECT_EQ(value.at("findings").size(), 55u);
  EXPECT_EQ(value.at("counts").at("failure").as_int(), 1);
  EXPECT_EQ(value.at("findings").as_list()[19].at("id").as_string(), "container-runtime");
  EXPECT_EQ(value.at("machine").at("is_unified").as_bool(), true);
  EXPECT_GE(value.at("settings").size(), 10u);
}

TEST(Markdown, IsAPageWithMachineFindingsAndSettings) {
  BrokenGb10 machine;
  const std::string page = as_markdown(report_of(machine.root()));
  for (const char* part : {"# This machine", "## Findings", "### failure: ", "## Other programs", "## Host settings",
                           "| Swap | 16.00 GiB", "NVIDIA GB10, compute capability 12.1, 48 multiprocessors"}) {
    EXPECT_TRUE(has(page, part)) << part << "\n" << page;
  }
}

TEST(FixScript, IsAShellScriptThatRunsNothingByHand) {
  BrokenGb10 machine;
  machine.answer(testing::kApps, "4711, /usr/bin/python3, 71680\n");
  const Report report = report_of(machine.root());
  const std::string script = fix_script(report.findings);
  EXPECT_TRUE(script.starts_with("#!/bin/sh\n"));
  EXPECT_TRUE(has(script, "\nsudo nvidia-ctk runtime configure"));
  EXPECT_TRUE(has(script, "# by hand: kill 4711"));
  EXPECT_FALSE(has(script, "\nkill"));
  EXPECT_FALSE(has(script, "nvidia-persistenced")) << "a note is no repair";
  const hearth::testing::TempFolder folder;
  std::ofstream(folder.path("fix.sh")) << script;
  const auto checked = machine::run_tool({"sh", "-n", folder.path("fix.sh")}, std::chrono::seconds(10));
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->exit_status, 0) << checked->text;
}

TEST(FixScript, TextOfAMachineCannotBecomeACommand) {
  const Check check{1, "x", Topic::kDriver, "title", "", nullptr};
  Outcome outcome = failure("first\nrm -rf /important");
  outcome.saw("a file", "second\nreboot").by_hand("kill 1\nhalt", "why\npoweroff");
  const std::vector<Finding> findings = {{&check, outcome}};
  for (const std::string& line : machine::lines_of(fix_script(findings))) {
    EXPECT_TRUE(line.empty() || line[0] == '#' || line == "set -e") << line;
  }
}

TEST(Environment, DependsOnTheVersionsThatAreThere) {
  Recording old(machine_folder("gb10"));
  install(old, "triton", "3.5.1");
  const auto with_old = environment_for(Context(old.root(), {}), "triton");
  ASSERT_TRUE(with_old);
  EXPECT_TRUE(has(as_shell(*with_old), "\nexport TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas\n"));
  const auto with_new = environment_for(Context(machine::Root(machine_folder("gb10")), {}), "triton");
  ASSERT_TRUE(with_new);
  EXPECT_FALSE(has(as_shell(*with_new), "export TRITON_PTXAS_PATH"));
  EXPECT_TRUE(has(as_shell(*with_new), "not needed"));
}

TEST(Environment, NamesTheTargetOfTheGpuThatIsThere) {
  const Context gb10(machine::Root(machine_folder("gb10")), {}), pc(machine::Root(machine_folder("rtx4090")), {});
  EXPECT_TRUE(has(as_shell(environment_for(gb10, "build").value()), "export TORCH_CUDA_ARCH_LIST=12.1a\n"));
  EXPECT_TRUE(has(as_shell(environment_for(gb10, "build").value()), "export CUDAARCHS=121a-real\n"));
  EXPECT_TRUE(has(as_shell(environment_for(pc, "build").value()), "export TORCH_CUDA_ARCH_LIST=8.9\n"));
  for (const std::string& stack : environment_stacks()) {
    const std::string shell = as_shell(environment_for(gb10, stack).value());
    for (const std::string& bad : testing::kForbidden) {
      // One note says what not to use.
      EXPECT_TRUE(bad == "--fp16-vae" || !has(shell, bad)) << stack << ": " << bad;
    }
  }
  const auto unknown = environment_for(gb10, "pytorhc");
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(has(unknown.error().message(), "did you mean 'pytorch'"));
}

Program named(const std::vector<Program>& programs, const std::string& name, const std::string& version) {
  for (const Program& program : programs) {
    if (program.name == name && program.version == version) return program;
  }
  return {.name = "absent"};
}

TEST(Programs, AreFoundWithoutRunningPythonAndJudged) {
  Recording machine(machine_folder("gb10"));
  machine.put("/data/engines/sd/.venv/lib/python3.11/site-packages/torch-2.8.0+cu126.dist-info/WHEEL", "Tag: x\n");
  machine.put("/data/engines/sd/.venv/lib/python3.11/site-packages/vllm-0.10.0.dist-info/WHEEL", "Tag: x\n");
  machine.put("/data/engines/ComfyUI/comfyui_version.py", "__version__ = \"0.7.1\"\n");
  machine.put("/usr/lib/aarch64-linux-gnu/libnvinfer.so.10.9.0", "");
  const Context context(machine.root(), {.look_in = {"/data/engines"}});
  const std::vector<Program> programs = find_programs(context);
  EXPECT_EQ(named(programs, "PyTorch", "2.11.0+cu130").runs, Runs::kYes);
  EXPECT_EQ(named(programs, "PyTorch", "2.8.0+cu126").runs, Runs::kNo);
  EXPECT_EQ(named(programs, "vLLM", "0.10.0").runs, Runs::kNo);
  EXPECT_EQ(named(programs, "TensorRT", "10.9.0").runs, Runs::kNo);
  EXPECT_EQ(named(programs, "llama.cpp", "b7904").runs, Runs::kYes);
  EXPECT_EQ(named(programs, "llama.cpp", "b7904").built_for, "121a-real");
  EXPECT_EQ(named(programs, "ComfyUI", "0.7.1").place, "/data/engines/ComfyUI");
  EXPECT_EQ(named(programs, "ComfyUI", "0.8.0").place, "/home/user/ComfyUI");
}

TEST(Programs, ASecondNameOfAFolderIsNoSecondInstallation) {
  Recording machine(machine_folder("gb10"));
  install(machine, "torch", "2.7.0+cu128");
  machine.put_link("/home/user/work/.venv/lib64", "lib");
  const std::vector<Program> programs = find_programs(Context(machine.root(), {}));
  EXPECT_EQ(std::ranges::count_if(programs, [](const Program& one) { return one.version == "2.7.0+cu128"; }), 1);
}

TEST(Programs, ComfyUiRunsWhereItsPyTorchDoes) {
  Recording machine(machine_folder("gb10"));
  EXPECT_EQ(named(find_programs(Context(machine.root(), {})), "ComfyUI", "0.8.0").runs, Runs::kUnknown);
  machine.put("/home/user/ComfyUI/.venv/lib/python3.12/site-packages/torch-2.8.0+cu126.dist-info/WHEEL", "Tag: x\n");
  EXPECT_EQ(named(find_programs(Context(machine.root(), {})), "ComfyUI", "0.8.0").runs, Runs::kNo);
}

TEST(Programs, ACandidateOfVllmCountsAsOlderThanItsRelease) {
  Recording machine(machine_folder("gb10"));
  install(machine, "torch", "2.9.1+cu130");
  install(machine, "vllm", "0.11.1rc3");
  EXPECT_EQ(named(find_programs(Context(machine.root(), {})), "vLLM", "0.11.1rc3").runs, Runs::kNo);
}

TEST(Targets, WhatAGb10LoadsOfAList) {
  struct Row {
    const char* list;
    Loads loads;
  };
  for (const Row& row : {Row{"121a-real", Loads::kCubin}, Row{"120f-real", Loads::kCubin}, Row{"80;120", Loads::kCubin},
                         Row{"native", Loads::kCubin}, Row{"120a-real", Loads::kNothing}, Row{"90a", Loads::kNothing},
                         Row{"80-real;89-real", Loads::kNothing}, Row{"80;90", Loads::kPtx},
                         Row{"75-virtual;89-real", Loads::kPtx}, Row{"all-major", Loads::kPtx},
                         Row{"", Loads::kUnknown}, Row{"OFF", Loads::kUnknown}}) {
    EXPECT_EQ(loads_on_121(row.list), row.loads) << row.list;
  }
}

TEST(Sheet, NamesAddressesUrlsAndGpu) {
  Sheet sheet;
  read_sheet(Context(machine::Root(machine_folder("gb10")), {.port = 9000}), sheet);
  const std::string text = sheet_as_text(sheet);
  for (const char* part : {"http://192.168.1.60:9000/v1", "20 cores, Cortex-X925 + Cortex-A725", "CUDA up to 13.0",
                           "121.70 GiB shared by CPU and GPU", "NVIDIA DGX Spark 7.5", "PyTorch 2.11.0+cu130"}) {
    EXPECT_TRUE(has(text, part)) << part << "\n" << text;
  }
  EXPECT_FALSE(has(text, "172.17.0.1:9000")) << "a bridge of Docker is no address for clients";
}

TEST(Record, ARecordingOfAMachineGivesTheSameVerdicts) {
  BrokenGb10 machine;
  const hearth::testing::TempFolder folder;
  const auto recorded = record_machine(folder.path("copy"), {}, machine.root().resolve(""));
  ASSERT_TRUE(recorded) << recorded.error().message();
  EXPECT_GT(recorded->files, 30u);
  EXPECT_GT(recorded->tools, 15u);
  const Context before(machine.root(), {}), after(machine::Root(folder.path("copy")), {});
  const std::vector<Finding> was = run_checks(before), is = run_checks(after);
  ASSERT_EQ(was.size(), is.size());
  for (size_t i = 0; i < was.size(); ++i) {
    EXPECT_EQ(name_of(was[i].outcome.verdict), name_of(is[i].outcome.verdict)) << was[i].check->id << ": "
                                                                              << is[i].outcome.cause;
  }
  EXPECT_EQ(find_programs(before).size(), find_programs(after).size());
}

// What a tool said of a folder below the home folder is found again when the recording is examined.
TEST(Record, ToolsAreAskedForTheRecordedHome) {
  Recording machine(machine_folder("gb10"));
  machine.put("/proc/self/environ", "HOME=/home/alice\nUSER=alice\nLANG=C.UTF-8\n");
  machine.put("/home/alice/.local/share/hearth/models/models.json", "{}");
  machine.answer({"df", "-Pk", "/home/alice/.local/share/hearth/models"},
                 "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/nvme0n1p2 100 99 1 99% /\n");
  const hearth::testing::TempFolder folder;
  ASSERT_TRUE(record_machine(folder.path("copy"), {}, machine.root().resolve("")));
  const std::vector<std::string> only = {"disk-space"};
  const std::vector<Finding> found = run_checks(Context(machine::Root(folder.path("copy")), {}), only);
  EXPECT_EQ(name_of(found.at(0).outcome.verdict), "failure") << found[0].outcome.cause;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path("copy"))) {
    EXPECT_FALSE(has(entry.path().string().substr(folder.path().size()), "alice")) << entry.path();
  }
}

// The name that stands for the user's is longer here.
TEST(Record, AnAnswerWhoseFileWouldHaveTooLongANameIsLeftOut) {
  auto look = [](const std::string& folder) {
    return Command{"find", "-L", folder, "-maxdepth", "3", "-type", "f", "-size", "+256M"};
  };
  const size_t filler = 255 - machine::tool_file(look("/home/ab/")).size();
  const std::string models = "/home/ab/" + std::string(filler, 'm');
  Recording machine(machine_folder("gb10"));
  machine.put("/proc/self/environ", "HOME=/home/ab\nLANG=C.UTF-8\n");
  machine.put(models + "/models.json", "{}");
  machine.answer(look(models), "");
  const hearth::testing::TempFolder folder;
  const Options options{.models_dir = models, .may_test = true};
  const auto recorded = record_machine(folder.path("copy"), options, machine.root().resolve(""));
  EXPECT_TRUE(recorded) << recorded.error().message();
}

TEST(Record, NamesAndSecretsStayAtHome) {
  Recording machine(machine_folder("gb10"));
  machine.put("/proc/self/environ", "HOME=/home/alice\nUSER=alice\nHF_TOKEN=hf_abcdefghijklmnop\nLANG=C.UTF-8\n");
  machine.put("/proc/sys/kernel/hostname", "alices-spark\n");
  machine.put("/etc/systemd/system/vllm.service",
              "[Service]\nUser=alice\nExecStart=/home/alice/bin/vllm serve m --api-key geheim123 --port 8000\n"
              "Environment=\"HF_TOKEN=hf_zyxwvutsrqponmlk\" \"CUDA_VISIBLE_DEVICES=0\"\n");
  machine.put("/home/alice/ComfyUI/comfyui_version.py", "__version__ = \"0.8.0\"\n");
  machine.answer(testing::kServiceLog, "2026-06-02T09:00:00+0000 alices-spark vllm[7]: prompt: my private words\n"
                                       "2026-06-02T09:00:01+0000 alices-spark vllm[7]: CUDA out of memory\n");
  const hearth::testing::TempFolder folder;
  ASSERT_TRUE(record_machine(folder.path("copy"), {}, machine.root().resolve("")));
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path("copy"))) {
    all += entry.path().string().substr(folder.path().size()) + "\n";
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    all += std::string(std::istreambuf_iterator<char>(file), {});
  }
  for (const char* secret : {"alice", "hf_abc", "hf_zyx", "geheim123", "alices-spark", "my private words"}) {
    EXPECT_FALSE(has(all, secret)) << secret;
  }
  EXPECT_TRUE(has(all, "CUDA out of memory"));
  EXPECT_TRUE(has(all, "CUDA_VISIBLE_DEVICES=0"));
  EXPECT_TRUE(has(all, "/home/user/ComfyUI/comfyui_version.py"));
}

TEST(Record, ScrubsAddressesOfHardwareAndTheWorld) {
  const Names names{{"bob"}, "workbench"};
  EXPECT_EQ(scrubbed("link/ether 3c:6d:66:00:aa:01 dev", names), "link/ether 02:00:00:00:00:00 dev");
  EXPECT_EQ(scrubbed("\"local\":\"2a02:8108:1::17\"", names), "\"local\":\"2001:db8::1\"");
  EXPECT_EQ(scrubbed("fe80::1 14:05:33 192.168.1.60", names), "fe80::1 14:05:33 192.168.1.60");
  EXPECT_EQ(scrubbed("bob on workbench, bobby", names), "user on recorded, bobby");
  EXPECT_EQ(scrubbed("password=x y", names), "password=(removed) y");
}

TEST(Record, RefusesAFolderThatHoldsSomething) {
  const hearth::testing::TempFolder folder;
  std::ofstream(folder.path("mine")) << "x";
  const auto recorded = record_machine(folder.path(), {}, machine_folder("cpu"));
  ASSERT_FALSE(recorded);
  EXPECT_EQ(recorded.error().code(), Code::kInvalidArgument);
}

TEST(Page, ListsEveryRow) {
  std::ifstream file(machine_folder("../../docs/doctor.md"));
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(has(page, table_of_checks())) << "docs/doctor.md must hold:\n" << table_of_checks();
}

}  // namespace
}  // namespace hearth::doctor
