// How Step-3's report (arXiv 2507.19427, tables 2 and 3) counts one decoded token: attention core, products of the
// attention ("linear") and of the feed-forward layers, at 2 FLOPs a number; nothing else. Embedding, classifier,
// router, norms, softmax and rotation are left out. Cached numbers take one byte, two where the report keeps BF16.
#pragma once

#include "capacity/capacity.h"

namespace mfa {

// At depth T = `context`. Three of its figures follow no formula that we know, but fit:
// MLA's core takes all C + d_r numbers for the score and for the sum, which in fact takes C;
// a linear-attention state costs 10 FLOPs a number and token (we count 5), and 8 bytes (f32, read and written);
// router and shared gate are not among the products.
DecodeWork report_work(const CostModel& model, int64_t context);

// Training: three times a token's decoding FLOPs, at the same depth (the report's figure 4).
double report_train_flops(const DecodeWork& work);

}  // namespace mfa
