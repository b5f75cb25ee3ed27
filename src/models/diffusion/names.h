// Names of a UNet's tensors. Bind code uses diffusers' ("down_blocks.1.resnets.0.conv1.weight"), which say what a layer
// is; files of the original layout count blocks instead ("input_blocks.4.0.in_layers.2.weight"). The two are the same
// list in another order, once it is known where a resolution ends.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

/// How many residual blocks each resolution has, in the order they run.
struct UnetSkeleton {
  std::vector<int> down, up;
  std::vector<bool> up_ends_in_attention;  // of the last block of each resolution going up

  /// From the names of a file in the original layout (without its prefix): a resolution ends where maps are resized.
  static UnetSkeleton of_original(const std::vector<std::string>& names);
};

class UnetNames {
 public:
  explicit UnetNames(const UnetSkeleton& skeleton);
  /// "" where there is no such name.
  std::string to_diffusers(std::string_view original) const;
  std::string to_original(std::string_view diffusers) const;

 private:
  void add(const std::string& original, const std::string& diffusers);
  std::map<std::string, std::string, std::less<>> to_diffusers_, to_original_;  // of whole blocks and layers
};

}  // namespace hearth
