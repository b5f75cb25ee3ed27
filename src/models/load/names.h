// Tensor names. Model code binds by GGUF's names ("blk.3.attn_q.weight"), which are one flat scheme over all
// architectures; a Hugging Face checkpoint's names are derived from them here.
#pragma once
#include <string>
#include <string_view>

namespace hearth {

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight". `architecture` is the model_type: gemma3 gives
/// ffn_norm and the post-norms other names. A name that has no counterpart comes back unchanged.
std::string hugging_face_name(std::string_view gguf_name, std::string_view architecture);

}  // namespace hearth
