// Where one layer's keys and values come from. A layer that reads another's cache has none of its own.
#pragma once

#include <memory>

#include "model/linear_layer.h"
#include "model/norm_layer.h"
#include "model/rotary.h"
#include "model/value_map.h"

namespace mfa {

// A source makes keys [rows, kv_heads · key_dim] (rotated) and values [rows, kv_heads · value_dim] of the whole batch
// from its columns of the layer's first product, and turns their gradients back. New variants add one source here.
class KeyValuePath {
 public:
  virtual ~KeyValuePath() = default;
  virtual int64_t down_cols() const = 0;             // columns of the layer's first product that are ours
  virtual void forward(Tensor p, Tensor input) = 0;  // our columns; the layer's normed input
  // dkey() and dvalue() -> dp (our columns, written), or for sources without columns, added to dinput.
  virtual void backward(Tensor dp, Tensor dinput) = 0;
  // While memory is laid out: dp, our columns. A source whose dkey and dvalue are just these points them there.
  virtual void place_gradients(Tensor) {}
  // True when the input's gradient has to be complete before backward() adds to it.
  bool adds_to_input() const { return down_cols() == 0; }

  Tensor key, value;    // after forward
  Tensor dkey, dvalue;  // where attention_backward writes
};

// `shared`: other layers read this cache too, so that dkey and dvalue must outlive this layer's turn in backward.
std::unique_ptr<KeyValuePath> make_key_value_path(const LayerContext& context, int64_t layer, RotaryTable rotary,
                                                  bool shared, Workspace& workspace);

}  // namespace mfa
