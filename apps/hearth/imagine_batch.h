// A batch of `hearth imagine --from`: which pictures a list of prompts, a grid of settings and a range of seeds ask
// for, what of it is there already, and the manifest and contact sheet that tell about them. Nothing here runs models.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "workflow/compose.h"

namespace hearth::app {

/// One picture of a batch.
struct BatchItem {
  workflow::PictureOptions options;
  std::string file;  // name inside the folder
};

/// Settings that a batch's flags give to every prompt, and by which flag: {"seed", "--seeds"}.
using TakenSettings = std::map<std::string, std::string>;

/// Prompts of a .csv (a column "prompt", others named like flags: negative, seed, steps, cfg, size, ...), .jsonl (one
/// object a line, the same names) or .txt file (one prompt a line; empty lines and lines with # are skipped). Every one
/// starts from `base`; none may set what is taken. kInvalidArgument names file, line and what was wanted.
std::vector<workflow::PictureOptions> read_prompts(const std::string& file, const workflow::PictureOptions& base,
                                                   const TakenSettings& taken);

/// "1..8", "3", "1,5,9", "1..3,7".
std::vector<uint64_t> parse_seeds(const std::string& text);

/// "steps=20,30": one axis of a grid. Names as the flags: steps, cfg, sampler, scheduler, seed, size, denoise,
/// precision, attention, vae_slicing, vae_tiling, vae_tile.
struct GridAxis {
  std::string name;
  std::vector<std::string> values;
};
GridAxis parse_axis(const std::string& text);

/// Sets one setting by its flag's name. kInvalidArgument saying what was wanted.
void set_option(workflow::PictureOptions& options, const std::string& name, const std::string& value);

/// Every prompt with every combination and seed, and a file name for each that is unique and sorts as the batch runs.
std::vector<BatchItem> expand(const std::vector<workflow::PictureOptions>& prompts, const std::vector<GridAxis>& grid,
                              const std::vector<uint64_t>& seeds);

/// One line of manifest.jsonl.
Value manifest_entry(const BatchItem& item, double seconds);

/// Which items have their picture: named in the manifest with the same settings, and the file is there.
std::vector<bool> finished_items(const std::string& folder, const std::vector<BatchItem>& items);

/// All pictures of the batch in one, at most `columns` wide, each fitted into `cell` pixels, in their order; missing
/// ones stay blank.
void write_contact_sheet(const std::string& folder, const std::vector<BatchItem>& items, int columns, int cell);

}  // namespace hearth::app
