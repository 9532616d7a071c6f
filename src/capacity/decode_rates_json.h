// Measured rates of decoding (kernels/decode_rates.h) as a member of a row of hardware.
#pragma once

#include <string_view>

#include "formats/json.h"
#include "kernels/decode_rates.h"

namespace mfa {

OrderedJson decode_rates_to_json(const DecodeRates& rates);
// BadInput names the key that is unknown, missing or out of range; curves need growing sizes and positive seconds.
DecodeRates decode_rates_from_json(const Json& json, std::string_view where);

}  // namespace mfa
