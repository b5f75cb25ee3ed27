// Against ComfyUI's own functions (tests/golden/resample), in both orders, and what goldens cannot say.
#include "ops/resample/resample.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "formats/input_file.h"
#include "formats/safetensors/safetensors.h"
#include "ops/resample/blur.h"

namespace hearth {
namespace {

struct Golden {
  MapShape shape;
  std::vector<float> values;

  ConstMap view() const { return {values.data(), shape}; }
};

class Goldens {
 public:
  Goldens() : table_(safetensors::open(path())), file_(path()) {}

  const std::vector<TensorInfo>& tensors() const { return table_.tensors; }

  Golden read(const std::string& name) const {
    const TensorInfo* info = table_.find(name);
    if (!info) throw std::runtime_error("no golden " + name);
    const std::vector<int64_t>& s = info->shape;
    Golden golden;
    golden.shape = name.starts_with("latent") ? MapShape{s[0], s[2], s[3], s[1], MapOrder::kNchw}
                                              : MapShape{s[0], s[1], s[2], s[3], MapOrder::kNhwc};
    golden.values.resize(static_cast<size_t>(info->elements()));
    file_.read_at(info->offset, {reinterpret_cast<char*>(golden.values.data()), static_cast<size_t>(info->bytes)});
    return golden;
  }

 private:
  static std::string path() {
    const char* root = std::getenv("HEARTH_SOURCE_DIR");
    std::filesystem::path top = root ? root : std::filesystem::path(__FILE__).parent_path() / "../../..";
    return (top / "tests/golden/resample/resample.safetensors").string();
  }
  safetensors::File table_;
  InputFile file_;
};

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts;
  for (size_t slash; (slash = name.find('/')) != name.npos; name.remove_prefix(slash + 1)) {
    parts.emplace_back(name.substr(0, slash));
  }
  parts.emplace_back(name);
  return parts;
}

Golden reordered(const Golden& from) {
  Golden to = from;
  MapShape& s = to.shape;
  s.order = from.shape.order == MapOrder::kNhwc ? MapOrder::kNchw : MapOrder::kNhwc;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t y = 0; y < s.height; ++y) {
      for (int64_t x = 0; x < s.width; ++x) {
        for (int64_t c = 0; c < s.channels; ++c) {
          auto place = [&](const MapShape& shape) {
            return static_cast<size_t>(b * shape.image_step() + y * shape.row_step() + x * shape.column_step() +
                                       c * shape.channel_step());
          };
          to.values[place(s)] = from.values[place(from.shape)];
        }
      }
    }
  }
  return to;
}

void expect_close(const std::vector<float>& got, const std::vector<float>& wanted, float tolerance) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], wanted[i], tolerance) << "element " << i;
}

TEST(Resample, IsWhatTorchAndPillowGive) {
  Goldens goldens;
  int cases = 0;
  for (const TensorInfo& info : goldens.tensors()) {
    std::vector<std::string> parts = parts_of(info.name);
    auto method = parts.size() == 4 ? resampling_of(parts[1]) : std::nullopt;
    if (!method) continue;
    SCOPED_TRACE(info.name);
    Golden source = goldens.read(parts[0]), wanted = goldens.read(info.name);
    // Lanczos and nearest are exact; the rest differs by where a product and a sum were fused.
    bool is_exact = method == Resampling::kLanczos || method == Resampling::kNearestExact;
    float tolerance = is_exact ? 0 : 2e-6f;
    for (int turn = 0; turn < 2; ++turn) {
      Window window{.width = source.shape.width, .height = source.shape.height};
      if (parts[3] == "center") window = centre_window(source.shape, wanted.shape.width, wanted.shape.height);
      std::vector<float> got(wanted.values.size());
      resample(source.view(), window, {got.data(), wanted.shape}, *method);
      expect_close(got, wanted.values, tolerance);
      source = reordered(source);
      wanted = reordered(wanted);
    }
    ++cases;
  }
  EXPECT_GE(cases, 60);
}

TEST(Blur, IsWhatComfyUiGives) {
  Goldens goldens;
  int cases = 0;
  for (const TensorInfo& info : goldens.tensors()) {
    std::vector<std::string> parts = parts_of(info.name);
    if (parts.size() < 4 || (parts[1] != "blur" && parts[1] != "sharpen")) continue;
    SCOPED_TRACE(info.name);
    Golden source = goldens.read(parts[0]), wanted = goldens.read(info.name);
    std::vector<float> got(wanted.values.size());
    Map to{got.data(), wanted.shape};
    int radius = std::stoi(parts[2]);
    float sigma = std::stof(parts[3]);
    if (parts[1] == "blur") {
      gaussian_blur(source.view(), to, radius, sigma);
      expect_close(got, wanted.values, 1e-6f);
    } else {
      sharpen(source.view(), to, radius, sigma, std::stof(parts[4]));
      expect_close(got, wanted.values, 1e-5f);
    }
    ++cases;
  }
  EXPECT_EQ(cases, 5);
}

TEST(Resample, NamesGoBothWays) {
  for (std::string_view known : {"nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp"}) {
    EXPECT_EQ(name(resampling_of(known).value()), known);
  }
  EXPECT_EQ(resampling_of("nearest"), std::nullopt);
}

TEST(Resample, TheCentreRoundsHalvesToEven) {
  MapShape shape{.height = 11, .width = 16};
  Window square = centre_window(shape, 8, 8);  // 2.5 columns to cut on each side
  EXPECT_EQ(square.x, 2);
  EXPECT_EQ(square.width, 12);
  EXPECT_EQ(square.height, 11);
  Window thin = centre_window({.height = 100, .width = 1}, 1000, 1);
  EXPECT_EQ(thin.height, 2);
}

TEST(Resample, LanczosRefusesLatents) {
  std::vector<float> data(16, 0.5f);
  MapShape shape{.height = 1, .width = 1, .channels = 16};
  try {
    resample({data.data(), shape}, {data.data(), shape}, Resampling::kLanczos);
    FAIL() << "lanczos took 16 channels";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("1 to 4 channels, this one has 16"), std::string::npos) << error.message();
  }
}

TEST(Blur, TheRadiusMustFit) {
  std::vector<float> data(12, 0.5f), out(12);
  MapShape shape{.height = 3, .width = 4};
  EXPECT_THROW(gaussian_blur({data.data(), shape}, {out.data(), shape}, 3, 1), Error);
  gaussian_blur({data.data(), shape}, {out.data(), shape}, 2, 1);
  for (float value : out) EXPECT_NEAR(value, 0.5f, 1e-6f);
  gaussian_blur({data.data(), shape}, {out.data(), shape}, 0, 1);
  EXPECT_EQ(out, data);
}

}  // namespace
}  // namespace hearth
