// The tokenizer of CLIP's text encoders: lower-cased byte-pair encoding whose words end in "</w>". Every encoder of the
// SD1 and SDXL families uses the same vocabulary, so it is part of the program (assets/clip). Immutable once built;
// shared by threads.
#pragma once
#include <cstdint>

#include "text/tokenize/tokenizer.h"

namespace hearth::text {

inline constexpr int32_t kClipStart = 49406, kClipEnd = 49407;

/// Built at the first call, some 20 ms; later calls cost nothing. encode() gives the ids the reference gives when
/// EncodeOptions::parse_special is set: there a prompt may spell <|endoftext|>.
const Tokenizer& clip_tokenizer();

}  // namespace hearth::text
