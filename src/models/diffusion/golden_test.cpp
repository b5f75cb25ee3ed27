// UNets, text encoders and autoencoders against what diffusers and transformers computed for the same weights, from a
// single file and from a folder in diffusers layout: every block and every output. The files are made from
// tests/golden/picture_models by models/testing/tiny_picture.h; tests/golden/make_picture_models.py makes those.
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>

#include "models/testing/tiny_model.h"
#include "models/testing/tiny_picture.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

using testing::PictureGolden;
using testing::PictureRig;
using testing::row_error;
using testing::TempFolder;
using testing::TinyPicture;

constexpr double kBound = 2e-5;  // float32 sums in another order

// Compares a network's intermediates with the golden's samples of them; remembers the first that is off.
class Comparer final : public StepObserver {
 public:
  Comparer(const PictureGolden& golden, std::string prefix) : golden_(golden), prefix_(std::move(prefix)) {}

  void on_probe(std::string_view name, int index, const Tensor& value) override {
    std::string key = index < 0 ? fmt::format("{}.{}", prefix_, name) : fmt::format("{}.{}.{}", prefix_, name, index);
    compare(key, value);
  }
  void compare(const std::string& key, const Tensor& value) {
    auto wanted = golden_.tensors.find(key);
    ASSERT_NE(wanted, golden_.tensors.end()) << "the golden has no " << key;
    ASSERT_TRUE(value.is_contiguous() && value.dtype() == DType::kF32) << key;
    const int64_t n = std::ssize(wanted->second.values);
    std::vector<float> got;
    for (int64_t i = 0; i < n; ++i) got.push_back(value.data<float>()[i * value.numel() / n]);
    const double error = row_error(got, wanted->second.values, 1);
    ++n_compared_;
    worst_ = std::max(worst_, error);
    if (error > kBound && first_.empty()) first_ = fmt::format("{} is off by {:.3g}", key, error);
  }
  // Of an output, which the golden has whole.
  void compare_all(const std::string& key, const Tensor& value) {
    ASSERT_EQ(value.shape(), golden_.tensors.at(key).shape) << key;
    compare(key, value);
  }
  const std::string& first_difference() const { return first_; }
  int n_compared() const { return n_compared_; }
  double worst() const { return worst_; }

 private:
  const PictureGolden& golden_;
  std::string prefix_, first_;
  int n_compared_ = 0;
  double worst_ = 0;
};

struct Case {
  const char* name;
  bool is_single;
  DType type;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

constexpr Case kUnets[] = {{"sdxl", true, DType::kF32},          {"sdxl", false, DType::kF16},
                           {"sdxl_refiner", true, DType::kBF16}, {"sdxl_refiner", false, DType::kF32},
                           {"sd1", true, DType::kF16},           {"sd1", false, DType::kF32},
                           {"sd1_inpaint", true, DType::kF32},   {"sd1_inpaint", false, DType::kBF16}};
constexpr Case kTextEncoders[] = {{"sdxl", true, DType::kF16},
                                  {"sdxl", false, DType::kF32},
                                  {"sdxl_refiner", true, DType::kF32},
                                  {"sd1", true, DType::kBF16}};
constexpr Case kVaes[] = {{"sdxl", true, DType::kF32},
                          {"sd1", false, DType::kBF16},
                          {"vae16", true, DType::kF16},
                          {"vae16", false, DType::kF64}};
constexpr Case kTinyVaes[] = {{"taesd", true, DType::kF16}, {"taesd", false, DType::kF32}};

// A checkpoint's files and golden.
class PictureTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const TinyPicture tiny(GetParam().name);
    const std::string path = GetParam().is_single ? tiny.write_single(folder_.path(), GetParam().type)
                                                  : tiny.write_diffusers(folder_.path(), GetParam().type);
    file_ = open_picture_file(path);
    golden_ = PictureGolden::read(GetParam().name);
  }
  const PictureGolden::Tensor& wanted(const std::string& name) const { return golden_.tensors.at(name); }

  // Levels of the CPU a network is run at: reference and best.
  static std::vector<CpuIsa> levels() { return {CpuIsa::kPlain, cpu_caps(1).isa}; }

  void expect_close(const Comparer& comparer, int at_least, CpuIsa isa) {
    EXPECT_EQ(comparer.first_difference(), "") << isa_name(isa);
    EXPECT_GE(comparer.n_compared(), at_least);
    RecordProperty(fmt::format("worst_{}", isa_name(isa)), fmt::format("{:.2g}", comparer.worst()));
  }

  TempFolder folder_;
  PictureFile file_;
  PictureGolden golden_;
};

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return fmt::format("{}_{}_{}", info.param.name, info.param.is_single ? "single" : "diffusers", name(info.param.type));
}

class UnetGolden : public PictureTest {};
class TextGolden : public PictureTest {};
class VaeGolden : public PictureTest {};
class TinyVaeGolden : public PictureTest {};
INSTANTIATE_TEST_SUITE_P(Pictures, UnetGolden, ::testing::ValuesIn(kUnets), case_name);
INSTANTIATE_TEST_SUITE_P(Pictures, TextGolden, ::testing::ValuesIn(kTextEncoders), case_name);
INSTANTIATE_TEST_SUITE_P(Pictures, VaeGolden, ::testing::ValuesIn(kVaes), case_name);
INSTANTIATE_TEST_SUITE_P(Pictures, TinyVaeGolden, ::testing::ValuesIn(kTinyVaes), case_name);

TEST_P(UnetGolden, EveryBlockMatchesTheReference) {
  ASSERT_TRUE(file_.unet);
  for (CpuIsa isa : levels()) {
    PictureRig rig(isa);
    const Unet unet = rig.load<Unet>(*file_.unet);
    Comparer comparer(golden_, "unet");
    Ctx c = rig.ctx(&comparer);
    {
      const Tensor y = unet.config().adm_dim > 0 ? rig.tensor(wanted("unet.y")) : Tensor();
      const Tensor out = unet.forward(c, rig.tensor(wanted("unet.x")), rig.tensor(wanted("unet.t")),
                                      rig.tensor(wanted("unet.context")), y);
      comparer.compare_all("unet.out", out);
    }
    EXPECT_TRUE(rig.arena().is_empty());
    expect_close(comparer, 14, isa);
  }
}

TEST_P(TextGolden, EveryLayerMatchesTheReference) {
  ASSERT_FALSE(file_.text_encoders.empty());
  for (const PicturePart<ClipConfig>& part : file_.text_encoders) {
    // The one with a projection is bigG's kin.
    const std::string prefix = part.config.projection > 0 ? "text_encoder_2" : "text_encoder";
    for (CpuIsa isa : levels()) {
      SCOPED_TRACE(prefix);
      PictureRig rig(isa);
      const ClipText clip = rig.load<ClipText>(part);
      const PictureGolden::Tensor& ids = wanted(prefix + ".ids");
      Comparer comparer(golden_, prefix);
      Ctx c = rig.ctx(&comparer);
      const Tensor pool_at = rig.ints(pooled_rows(ids.ints, ids.shape[1], 99), {ids.shape[0]});
      ClipRequest request{.ids = rig.tensor(ids), .pool_at = pool_at, .overrides = {}, .layer = -1, .normalise = true};
      {
        const ClipOutput last = clip.forward(c, request);
        comparer.compare_all(prefix + ".last", last.hidden);
        comparer.compare_all(prefix + ".pooled", last.pooled);
        request.layer = -2;
        comparer.compare_all(prefix + ".penultimate_normed", clip.forward(c, request).hidden);
        request.normalise = false;
        request.pool_at = {};
        comparer.compare_all(prefix + ".penultimate", clip.forward(c, request).hidden);
      }
      EXPECT_TRUE(rig.arena().is_empty());
      expect_close(comparer, 4 + 3, isa);
    }
  }
}

TEST_P(VaeGolden, EveryBlockMatchesTheReference) {
  ASSERT_TRUE(file_.vae);
  for (CpuIsa isa : levels()) {
    PictureRig rig(isa);
    const KlVae vae = rig.load<KlVae>(*file_.vae);
    Comparer comparer(golden_, "vae");
    Ctx c = rig.ctx(&comparer);
    comparer.compare_all("vae.decoded", vae.decode(c, rig.tensor(wanted("vae.z"))));
    comparer.compare_all("vae.moments", vae.encode(c, rig.tensor(wanted("vae.image"))));
    EXPECT_TRUE(rig.arena().is_empty());
    expect_close(comparer, 8, isa);
  }
}

TEST_P(TinyVaeGolden, BothWaysMatchTheReference) {
  ASSERT_TRUE(file_.tiny_vae);
  for (CpuIsa isa : levels()) {
    PictureRig rig(isa);
    const TinyVae vae = rig.load<TinyVae>(*file_.tiny_vae);
    Comparer comparer(golden_, "taesd");
    Ctx c = rig.ctx(&comparer);
    comparer.compare_all("taesd.decoded", vae.decode(c, rig.tensor(wanted("taesd.z"))));
    comparer.compare_all("taesd.encoded", vae.encode(c, rig.tensor(wanted("taesd.image"))));
    EXPECT_TRUE(rig.arena().is_empty());
    expect_close(comparer, 2, isa);
  }
}

// One of two members of a batch.
PictureGolden::Tensor member(const PictureGolden::Tensor& batch, int64_t b) {
  PictureGolden::Tensor out = batch;
  const int64_t n = batch.shape.numel() / batch.shape[0];
  out.shape[0] = 1;
  out.values.assign(batch.values.begin() + b * n, batch.values.begin() + (b + 1) * n);
  return out;
}

TEST_P(UnetGolden, CompanyInTheBatchDoesNotChangeABit) {
  PictureRig rig;
  const Unet unet = rig.load<Unet>(*file_.unet);
  Ctx c = rig.ctx();
  auto run = [&](auto pick) {
    const Tensor y = unet.config().adm_dim > 0 ? rig.tensor(pick(wanted("unet.y"))) : Tensor();
    const Tensor out = unet.forward(c, rig.tensor(pick(wanted("unet.x"))), rig.tensor(pick(wanted("unet.t"))),
                                    rig.tensor(pick(wanted("unet.context"))), y);
    return std::vector<float>(out.data<float>(), out.data<float>() + out.numel());
  };
  const std::vector<float> both = run([](const auto& t) { return t; });
  std::vector<float> one_by_one;
  for (int64_t b : {0, 1}) {
    const std::vector<float> one = run([&](const auto& t) { return member(t, b); });
    one_by_one.insert(one_by_one.end(), one.begin(), one.end());
  }
  EXPECT_EQ(one_by_one, both);
}

// The same code on Meta asks for what a run takes.
TEST_P(UnetGolden, MetaSaysWhatARunTakes) {
  std::vector<int64_t> peaks;
  for (DeviceKind kind : {DeviceKind::kMeta, DeviceKind::kCpu}) {
    PictureRig rig(cpu_caps(1).isa, kind);
    const Unet unet = rig.load<Unet>(*file_.unet);
    Ctx c = rig.ctx();
    const Tensor y = unet.config().adm_dim > 0 ? rig.tensor(wanted("unet.y")) : Tensor();
    const Tensor out = unet.forward(c, rig.tensor(wanted("unet.x")), rig.tensor(wanted("unet.t")),
                                    rig.tensor(wanted("unet.context")), y);
    EXPECT_EQ(out.shape(), wanted("unet.out").shape);
    peaks.push_back(rig.arena().peak_bytes());
  }
  EXPECT_EQ(peaks[0], peaks[1]);
}

}  // namespace
}  // namespace hearth
