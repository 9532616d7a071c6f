#include "train/token_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "train/byte_reader.h"

namespace mfa {
namespace {

fs::path default_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != 0)
    return fs::path(cache) / "mfa";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0) return fs::path(home) / ".cache" / "mfa";
  bad_input("[corpus] no folder for token files: neither XDG_CACHE_HOME nor HOME is set; name one with --cache");
}

}  // namespace

fs::path token_cache_folder(const fs::path& given, const std::string& fingerprint) {
  const fs::path root = given.empty() ? default_cache() : given;
  const fs::path folder = root / fingerprint;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || ::access(folder.c_str(), W_OK) != 0)
    bad_input("[corpus] cannot keep token files in {} ({}); name a writable folder with --cache", root.string(),
              error ? error.message() : "it is not writable");
  return folder;
}

// A chain of checksums, block by block.
std::string file_checksum(const fs::path& path) {
  const auto reader = open_raw(path);
  std::string chain(32, '0'), block(chain.size() + (1 << 20), '\0');
  for (size_t n = 1; n > 0;) {
    std::copy(chain.begin(), chain.end(), block.begin());
    n = reader->read(std::span(block).subspan(chain.size()));
    chain = checksum(std::as_bytes(std::span(block).first(chain.size() + n)));
  }
  return chain;
}

}  // namespace mfa
