// What inpainting needs beside the picture: the picture with its hole greyed, and the mask in its size.
#pragma once
#include "workflow/image/tensors.h"

namespace hearth::workflow {

struct Inpaint {
  Tensor original;  // [B,H,W,3], cut to whole latent pixels (multiples of 8)
  Tensor pixels;    // the same with 0.5 where the mask rounds to 1
  Tensor mask;      // [B,H,W] in the same size, not rounded
};
Inpaint prepare_inpaint(Allocator& memory, const Tensor& pixels, const Tensor& mask);

/// The rounded mask, 1 also where one of `grow` x `grow` pixels around is 1.
Tensor grown_for_latents(Allocator& memory, const Tensor& mask, int64_t grow);

}  // namespace hearth::workflow
