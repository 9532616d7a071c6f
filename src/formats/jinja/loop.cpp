#include "formats/jinja/loop.h"

namespace mfa::jinja {

LoopObject::LoopObject(const Value& source, bool filtered, std::function<bool(Value&)> over, int64_t outer_depth)
    : Object(sizeof(*this), source.depth() + 1), depth0(outer_depth), next_(std::move(over)) {
  if (!filtered && has_length(source) && !source.is(Kind::loop)) length_ = mfa::jinja::length(source);
}

bool LoopObject::peek() {
  if (after.given()) return true;
  if (next_ && next_(after)) return true;
  after = {};
  return false;
}

bool LoopObject::advance() {
  charge_steps(1);
  if (!peek()) return false;
  ++index0;
  before = std::move(current);
  current = std::move(after);
  after = {};
  return true;
}

int64_t LoopObject::length() {
  if (length_ >= 0) return length_;
  Items rest;
  Charge room;
  for (Value item; next_ && next_(item);) {
    charge_steps(1);
    room.add(sizeof(Value));
    rest.push_back(std::move(item));
  }
  length_ = index0 + 1 + after.given() + static_cast<int64_t>(rest.size());
  next_ = iterate(Value::list(std::move(rest)));
  return length_;
}

void LoopObject::finish() {
  next_ = nullptr;
  before = current = after = changed = {};
  scope.reset();
}

}  // namespace mfa::jinja
