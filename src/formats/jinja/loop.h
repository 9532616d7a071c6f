// The `loop` of a for statement: looks ahead one item at most, and asks for all of them only when `length` is read.
#pragma once

#include "formats/jinja/value.h"

namespace mfa::jinja {

struct ForNode;

struct LoopObject : Object {
  // `over` yields the items; `source` is what the template named, whose length counts unless a test filters it.
  LoopObject(const Value& source, bool filtered, std::function<bool(Value&)> over, int64_t outer_depth);

  bool advance();  // to the next item; false behind the last
  bool peek();     // whether there is a next item, which is then in `after`
  int64_t length();
  void finish();  // lets go of all items; numbers stay

  Value before, current, after;  // missing where there is none
  Value changed;                 // what changed() was last called with
  int64_t index0 = -1;
  const int64_t depth0;                // of recursive loops
  const ForNode* recursive = nullptr;  // set where the template may call the loop
  std::shared_ptr<Scope> scope;        // around a recursive loop

 private:
  std::function<bool(Value&)> next_;
  int64_t length_ = -1;
};

}  // namespace mfa::jinja
