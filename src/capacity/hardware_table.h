// data/hardware.json, compiled into the program so that it needs no file beside it.
#pragma once

#include <string_view>

namespace mfa {

extern const std::string_view kHardwareTable;

}  // namespace mfa
