// Tensor names. Model code binds by GGUF's names ("blk.3.attn_q.weight"), which are one flat scheme over all
// architectures; a Hugging Face checkpoint's names are derived from them here.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "models/load/checkpoint.h"
#include "models/load/tensor_source.h"

namespace hearth {

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight". `architecture` is the model_type: gemma3 gives
/// ffn_norm and the post-norms other names. A name that has no counterpart comes back unchanged.
std::string hugging_face_name(std::string_view gguf_name, std::string_view architecture);

/// The tensors of a language model under GGUF's names. Refers to `checkpoint`, which must outlive it.
std::unique_ptr<TensorSource> language_model_tensors(const Checkpoint& checkpoint);

}  // namespace hearth
