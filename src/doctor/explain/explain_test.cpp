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
    // Troubles that guides describe in words of their own.
    {"Standard ComfyUI containers and PyTorch wheels don't support sm_121.", "torch-capability-warning"},
    {"Disabling **Triton/torch.compile** (doesn't support sm_121 yet)", "ptxas-sm121a"},
    {"**torch.compile Disabled**: Triton doesn't support sm_121 yet.", "ptxas-sm121a"},
    {"Your SageAttention wasn't compiled for sm_121.", "sage-attention"},
    {"SageAttention PR #297 added sm_121 support but was merged then reverted", "sage-attention"},
    {"`--gpu-only` - fights the unified memory fabric, hurts performance", "copied-flags"},
    {"`--cache-none` - disables natural caching, slows model loading", "copied-flags"},
    {"`--disable-mmap` - prevents memory-mapped model loading", "mmap-slow"},
    {"--fp16-unet --fp16-vae --fp16-text-enc  # FP16 precision throughout", "black-picture"},
    {"`PYTORCH_NO_CUDA_MEMORY_CACHING=1` - let fabric manage memory", "copied-flags"},
    {"# Lock GPU clocks to maximum (3003 MHz) - prevents throttling", "clock-lock"},
    {"GPU clock settings don't persist across reboots due to GB10 firmware behavior.", "clock-lock"},
    {"| CUDA 12.8 | sm_120 | **No** |", "nvcc-unsupported-architecture"},
    {"| PyTorch cu128 | 2.7.0+cu128 | Nur bis sm_120 | Deutlich langsamer |", "torch-cu128-slow"},
    {"| TensorFlow | alle | Offiziell nicht mehr unterst\xc3\xbctzt |", "tensorflow-gpu"},
    {"TensorRT: Kein sm_121 Support", "tensorrt-provider"},
    {"| TensorRT | 10.x | Nur sm_120 | Kein sm_121 |", "tensorrt-provider"},
    {"ONNX Runtime: Muss selbst kompiliert werden mit `CMAKE_CUDA_ARCHITECTURES=121`", "onnxruntime-gpu"},
    {"PaddlePaddle: Kein ARM64 Support", "paddle-arm"},
    {"Problem: `/usr/bin/nvcc` statt `/usr/local/cuda/bin/nvcc`", "nvcc-unsupported-architecture"},
    {"Bei OOM: Caches leeren mit `sudo sh -c \"sync; echo 3 > /proc/sys/vm/drop_caches\"`", "vllm-free-memory"},
    {"pip install --break-system-packages <package>", "externally-managed"},
    {"curl -fsSL https://example.org/install.sh | bash", "piped-installer"},
    {"-v /usr/local/cuda:/usr/local/cuda:ro", "cuda-mounted"},
    {"Prevents OOM errors with large batch sizes", "cuda-out-of-memory"},
    {"**Symptoms**: `CUDA out of memory` or system hangs", "cuda-out-of-memory"},
    {"system hangs", "host-hang"},
    {"`nvidia-smi` reports `[N/A]` for GPU memory", "memory-not-supported"},
    {"FP8 precision (may not be supported)", "precision-support"},
    {"INT8 quantization (may have limited support)", "precision-support"},
    {"`torch.compile()` (experimental, may have issues)", "precision-support"},
    {"Issue: Slow Inference", "slow-pictures"},
    {"**Symptoms**: >5s per sprite", "slow-pictures"},
    {"Issue: Poor Image Quality", "picture-quality"},
    {"**Symptoms**: Blurry or low-detail sprites", "picture-quality"},
    {"**Symptoms**: Slow inference despite FP16 enabled", "tensor-cores-unused"},
    {"`--fit on` and `--gpu-memory-utilization` in vLLM miscalculate available memory", "vllm-free-memory"},
    {"Standard x86_64 Docker images won't work. Need ARM64+CUDA builds.", "exec-format"},
    {"`ghcr.io/ggml-org/llama.cpp:server-cuda` is amd64 only.", "exec-format"},
    {"Stock vLLM is compiled for SM_100 (Hopper). NVFP4 MoE kernels need SM_120+ specific builds.",
     "vllm-nvfp4-kernels"},
    {"llama.cpp ~40% slower than vLLM", "llama-slower"},
    {"Requires llama.cpp b7186+ with Feb 4, 2026 key_gdiff fix (PR #19324).", "unknown-architecture"},
    {"| 405B | 810GB (no) | 405GB (no) | ~100GB (barely) | ~115GB (barely) |", "too-large"},
    {"| **Flux.1 Dev + ControlNet** | OOM | Yes |", "cuda-out-of-memory"},
    {"docker run --rm --gpus all nvidia/cuda:12.3.0-base-ubuntu22.04 nvidia-smi", "image-gone"},
    {"image: nvidia/comfyui:latest  # Official NVIDIA image optimized for DGX", "image-gone"},
    {"sudo dgx-cluster init --role leader", "dgx-cluster"},
    {"cd ~/dgx-playbooks/comfyui", "playbook-path"},
    {"raise Exception(\"No ComfyUI devices available\")", "connection-refused"},
    {"nvidia-ctk: command not found", "runtime-nvidia"},
    {"graph deadlocks, UMA leak", "driver-branch"},
    {"retained frees on 610", "driver-branch"},
    {"undefined symbol", "undefined-symbol-torch"},
    {"Error Internal", "shared-memory-99k"},
    {"!!!!", "nvfp4-noise"},
    {"Xid 31 on 64 KiB + r610", "xid"},
    {"oom-kill", "oom-killed"},
    {"second server OOMs both", "cuda-out-of-memory"},
    {"thrash, hours of disk light", "swap-thrash"},
    {"memory \"missing\"", "memory-missing"},
    {"\"limit set\" but ignored", "limit-ignored"},
    {"slow first call", "first-call"},
    {"decode 63 vs 94 ms/step at equal clocks", "hidden-state"},
    {"> 86-92 C, reboots without log", "thermal-slowdown"},
    {"API up, model not", "still-loading"},
    {"address in use", "address-in-use"},
    {"`ibv_reg_mr`/`ibv_create_qp` ENOMEM", "ibv-memlock"},
    {"silent TP hang", "ib-modify-qp"},
    {"TLS and cert errors", "certificate-time"},
    {"UTF-8 mangling in C locale", "locale-ascii"},
    {"clients lose server", "lost-address"},
    {"94-96 % util at 15-18 W, 500-850 MHz; no throttle flag", "low-power-state"},
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

// How people tell a trouble is looked for in what they paste, never in logs: those also hold what users asked.
TEST(Explain, SymptomsAreNoLinesOfALog) {
  EXPECT_FALSE(explain("a blurry or low-detail sprite").empty());
  EXPECT_FALSE(is_known_message("prompt: a blurry or low-detail sprite of a machine that hangs"));
  EXPECT_TRUE(is_known_message("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB."));
  for (const KnownError& error : known_errors()) {
    EXPECT_FALSE(error.patterns.empty() && error.symptoms.empty()) << error.id;
    for (const std::string& symptom : error.symptoms) EXPECT_GE(symptom.size(), 3u) << error.id;
  }
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
