// The filters by file, and what they share.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "formats/jinja/interpreter.h"

namespace mfa::jinja {

std::span<const Named> text_filters();
std::span<const Named> number_filters();
std::span<const Named> item_filters();
std::span<const Named> select_filters();
std::span<const Named> attribute_filters();

// A string stays what it is (markup too), all else is printed.
Value soft_text(const Value& value);

using Getter = std::function<Value(const Value&)>;
// What `attribute` names in an item: "a.b.0", an index, or (none, missing) the item itself. With `default`, that
// stands for what is undefined on the way. Without case, strings are returned in small letters.
Getter attribute_getter(Interpreter& interpreter, const Value& attribute, const Value& default_value = {},
                        bool fold = false);
// The same for "a,b": a list of what each names.
Getter attributes_getter(Interpreter& interpreter, const Value& attribute, bool fold);

// sorted(values, key=…, reverse=…)
Items sorted(Items values, const Getter& key, bool reverse);

}  // namespace mfa::jinja
