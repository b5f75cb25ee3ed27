// Every kind of adapter against what ComfyUI makes of the same tensors (tests/golden/make_adapters.py).
#include "models/load/adapter_change.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "formats/safetensors/safetensors.h"
#include "models/load/lora.h"
#include "models/testing/tiny_picture.h"

namespace hearth {
namespace {

struct Golden {
  std::shared_ptr<const TensorFile> file =
      std::make_shared<const TensorFile>(safetensors::open(testing::picture_golden_path("adapters.safetensors")));
  LoraFile lora{file};
  NamedTensors network{file};
  std::set<std::string> cases;

  Golden() {
    for (const TensorInfo& tensor : file->tensors) {
      if (!tensor.name.ends_with(".weight") && !tensor.name.ends_with(".bias")) continue;
      if (tensor.name.starts_with("m_")) continue;
      network.add(tensor.name, {&tensor});
      cases.insert(tensor.name.substr(0, tensor.name.rfind('.')));
    }
  }
  std::vector<float> values(const std::string& name) const { return read_values(*file, *file->find(name)); }
  double strength(const std::string& name) const { return std::stod(file->metadata.at(name).as_string()); }
};

double error(const std::vector<float>& got, const std::vector<float>& wanted) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    worst = std::max(worst, std::abs(double{got[i]} - double{wanted[i]}));
    largest = std::max(largest, std::abs(double{wanted[i]}));
  }
  return worst / largest;
}

TEST(AdapterChange, EveryKindIsComfyUis) {
  const Golden golden;
  EXPECT_GE(golden.cases.size(), 30u);
  for (const std::string& name : golden.cases) {
    LoraPatch patch(golden.network);
    EXPECT_EQ(patch.add(golden.lora, {{"m_" + name, name}}, golden.strength(name)), std::vector<std::string>{}) << name;
    for (const auto& [from, to] : {std::pair{".weight", ".result"}, std::pair{".bias", ".bias_result"}}) {
      std::vector<float> rows = golden.values(name + from);
      const auto& shape = golden.file->find(name + from)->shape;
      patch.apply(name + from, 0, shape.size() == 1 ? 1 : shape[0], rows);
      EXPECT_LT(error(rows, golden.values(name + to)), 2e-6) << name << from;
    }
  }
}

TEST(AdapterChange, RowsMayComeOneByOneWhereTheyAreNotMixed) {
  const Golden golden;
  int mixed = 0;
  for (const std::string& name : golden.cases) {
    LoraPatch patch(golden.network);
    patch.add(golden.lora, {{"m_" + name, name}}, golden.strength(name));
    const std::string weight = name + ".weight";
    if (patch.needs_all_rows(weight)) {
      ++mixed;
      continue;
    }
    const auto& shape = golden.file->find(weight)->shape;
    if (shape.size() == 1) continue;
    std::vector<float> rows = golden.values(weight);
    const int64_t columns = std::ssize(rows) / shape[0];
    for (int64_t row = 0, n; row < shape[0]; row += n) {
      n = std::min<int64_t>(5, shape[0] - row);
      patch.apply(weight, row, n, std::span(rows).subspan(row * columns, n * columns));
    }
    EXPECT_LT(error(rows, golden.values(name + ".result")), 2e-6) << name;
  }
  EXPECT_GE(mixed, 10) << "rotations, and lengths of input channels";
}

TEST(AdapterChange, FilesAreAppliedOneAfterTheOther) {
  const Golden golden;
  // A rotation after a sum turns the sum.
  LoraPatch both(golden.network);
  both.add(golden.lora, {{"m_lora", "oft"}}, 1);
  both.add(golden.lora, {{"m_oft", "oft"}}, 1);
  LoraPatch first(golden.network), second(golden.network);
  first.add(golden.lora, {{"m_lora", "oft"}}, 1);
  second.add(golden.lora, {{"m_oft", "oft"}}, 1);
  std::vector<float> together = golden.values("oft.weight"), apart = together;
  both.apply("oft.weight", 0, 24, together);
  first.apply("oft.weight", 0, 24, apart);
  second.apply("oft.weight", 0, 24, apart);
  EXPECT_EQ(together, apart);
  std::vector<float> alone = golden.values("oft.weight");
  second.apply("oft.weight", 0, 24, alone);
  EXPECT_GT(error(alone, together), 1e-3);
}

TEST(AdapterChange, WhatDoesNotFitIsSaidWithBothShapes) {
  const Golden golden;
  for (const auto& [module, said] : std::map<std::string, std::string>{
           {"loha", "got hada [24, 3] and [3, 20], wanted a product of [16, 12, 3, 3]"},
           {"loha_tucker", ""},
           {"lokr", "got lokr of 4x5 and 6x4, wanted a product of [16, 12, 3, 3]"},
           {"oft", "got oft_blocks [4, 6, 6], wanted blocks of the 16 rows of [16, 12, 3, 3]"},
           {"dora_rows", "got up [24, 4] and down [4, 20], wanted a product of [16, 12, 3, 3]"},
           {"set", "got [24, 20], wanted [16, 12, 3, 3]"}}) {
    LoraPatch patch(golden.network);
    const std::vector<std::string> misfits = patch.add(golden.lora, {{"m_" + module, "loha_tucker"}}, 1);
    if (said.empty()) {
      EXPECT_EQ(misfits, std::vector<std::string>{});
      continue;
    }
    EXPECT_EQ(misfits, std::vector<std::string>{"m_" + module + ": " + said});
    EXPECT_EQ(patch.size(), 0u);
  }
}

}  // namespace
}  // namespace hearth
