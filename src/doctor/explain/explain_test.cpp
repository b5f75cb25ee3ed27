// The catalogue of errors: every entry is found by its own example, the messages that guides list are known, and no
// cure holds advice that is known to be wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "doctor/explain/catalogue.h"
#include "doctor/testing/machines.h"

namespace hearth::doctor {
namespace {

TEST(Catalogue, EveryEntryIsFoundByItsOwnExample) {
  ASSERT_GE(known_errors().size(), 60u);
  std::set<std::string> ids;
  for (const KnownError& error : known_errors()) {
    EXPECT_TRUE(ids.insert(error.id).second) << error.id << " is there twice";
    const std::vector<Match> matches = explain(error.example);
    const bool is_found = std::ranges::any_of(matches, [&](const Match& m) { return m.error == &error; });
    ASSERT_TRUE(is_found) << error.id << " is not found by: " << error.example;
    EXPECT_EQ(matches[0].error->id, error.id) << "another entry matches its example better";
    EXPECT_FALSE(error.cause.empty() || error.cures.empty() || error.source.empty()) << error.id;
  }
}

TEST(Catalogue, EvidenceIsOneOfTheKindsAndRowsExist) {
  const std::set<std::string> kinds = {"vendor", "maintainer", "measured", "compiled", "reported", "inferred"};
  for (const KnownError& error : known_errors()) {
    EXPECT_TRUE(kinds.count(error.evidence)) << error.id << ": " << error.evidence;
    for (int row : error.rows) EXPECT_TRUE(row >= 1 && row <= 55) << error.id;
  }
}

struct Message {
  const char* text;
  const char* id;
};
// As guides for this machine and its users state them.
constexpr Message kMessages[] = {
    {"nvrtc: error: invalid value for --gpu-architecture (-arch)", "nvrtc-architecture"},
    {"UserWarning: Found GPU0 NVIDIA GB10 which is of cuda capability 12.1.\nPyTorch supports (8.0) - (12.0), not "
     "12.1!",
     "torch-capability-warning"},
    {"compute capability 12.1 being \"outside supported range (8.0-12.0)\"", "torch-capability-warning"},
    {"ptxas fatal : Value 'sm_121a' is not defined for option 'gpu-name'", "ptxas-sm121a"},
    {"ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'", "ptxas-sm121a"},
    {"FATAL: kernel fmha_cutlassF_f16_aligned_64x128_rf_sm80 is for sm80-sm100, but was built for "
     "sm121", "fmha-cutlass"},
    {"no kernel image is available for execution on the device", "no-kernel-image"},
    {"PyTorch can't find CUDA", "torch-without-cuda"},
    {"ComfyUI-Manager missing", "manager-missing"},
    {"Flash Attention kompiliert nicht", "flash-attention-3"},
    {"PEP 668 \"externally-managed-environment\"", "externally-managed"},
    {"CUDA out of memory", "cuda-out-of-memory"},
    {"OOM (Out of Memory) Errors", "cuda-out-of-memory"},
    {"GB10 Not Using Tensor Cores", "tensor-cores-unused"},
    {"nvidia-smi reports [N/A] for GPU memory", "memory-not-supported"},
    {"splitting context across slots causes \"context exceeded\"", "context-exceeded"},
    {"--fit on miscalculates unified memory, only offloads 34/49 layers", "layers-offloaded"},
    {"vLLM may OOM even when memory appears available", "vllm-free-memory"},
    {"exec format error", "exec-format"},
    {"No ComfyUI devices available", "connection-refused"},
    {"sudo: dgx-cluster: command not found", "dgx-cluster"},
    {"./setup_comfyui.sh: No such file or directory", "playbook-path"},
    {"pull access denied for nvidia/comfyui", "image-gone"},
    {"rmdir: failed to remove 'antelopev2': Directory not empty", "antelope-not-empty"},
    {"E: Package 'libgl1-mesa-glx' has no installation candidate", "libgl-gone"},
    {"sudo nvidia-smi boost-slider --vboost 1", "boost-slider"},
    {"cuda_archs_loose_intersection(SCALED_MM_ARCHS \"10.0a\" \"${CUDA_ARCHS}\")", "vllm-scaled-mm"},
    {"nvcc fatal   : Unsupported gpu architecture 'compute_121'", "nvcc-unsupported-architecture"},
    {"No matching distribution found for easy-dwpose", "paddle-arm"},
    {"requires 102400 bytes of shared memory, the device supports 101376", "shared-memory-99k"},
    {"NVRM: nvCheckOkFailedNoLog: Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051)", "nv-no-memory"},
    {"Free memory on device cuda:0 (98.2/119.7 GiB) on startup is less than desired GPU memory utilization (0.9)",
     "vllm-free-memory"},
};

TEST(Explain, MessagesOfGuidesAreKnown) {
  for (const Message& message : kMessages) {
    const std::vector<Match> matches = explain(message.text);
    ASSERT_FALSE(matches.empty()) << message.text;
    EXPECT_EQ(matches[0].error->id, message.id) << message.text;
  }
}

TEST(Explain, ALogGivesSeveralMatchesTheMostSpecificFirst) {
  const std::vector<Match> matches = explain(
      "INFO start\nload_tensors: offloaded 34/49 layers to GPU\ntorch.OutOfMemoryError: CUDA out of memory. Tried ...\n"
      "OSError: [Errno 98] address already in use\n");
  ASSERT_EQ(matches.size(), 3u);
  EXPECT_TRUE(std::ranges::is_sorted(matches, std::greater(), &Match::score));
  const auto layers = std::ranges::find(matches, "layers-offloaded", [](const Match& m) { return m.error->id; });
  ASSERT_NE(layers, matches.end());
  EXPECT_EQ(layers->line, "load_tensors: offloaded 34/49 layers to GPU");
}

TEST(Explain, CaseBlanksAndLineBreaksDoNotCount) {
  EXPECT_FALSE(explain("PTXAS   FATAL:  value 'SM_121A' is not defined for option 'gpu-name'").empty());
  EXPECT_FALSE(explain("no kernel image is available for\n  execution on the device").empty());
}

TEST(Explain, WhatIsNotKnownMatchesNothing) {
  EXPECT_TRUE(explain("").empty());
  EXPECT_TRUE(explain("everything is fine").empty());
  EXPECT_TRUE(explain("Segmentation fault (core dumped)").empty());
}

TEST(Explain, CuresHoldNothingThatIsKnownToBeWrong) {
  for (const KnownError& error : known_errors()) {
    for (const KnownCure& cure : error.cures) {
      for (const std::string& bad : testing::kForbidden) {
        EXPECT_EQ((cure.command + " " + cure.text).find(bad), std::string::npos) << error.id << ": " << bad;
      }
      // A path to an assembler is never good for ever.
      const bool pins = (cure.command + cure.text).find("export TRITON_PTXAS_PATH") != std::string::npos;
      EXPECT_TRUE(!pins || cure.when.find("3.5") != std::string::npos) << error.id;
    }
  }
}

TEST(Catalogue, AnEntryThatLacksAMemberIsNamed) {
  const auto broken = parse_errors(R"({"errors":[{"id":"a","title":"t"}]})");
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message().find("patterns"), std::string::npos) << broken.error().message();
  EXPECT_FALSE(parse_errors("{"));
}

}  // namespace
}  // namespace hearth::doctor
