# What the build and its checks need, and how to get it. Sourced by ./run and ./test.

# Debian package: a file that shows it is there: what it is for.
build_packages="
g++:/usr/bin/g++:the compiler
cmake:/usr/bin/cmake:the build
ninja-build:/usr/bin/ninja:the build
pkg-config:/usr/bin/pkg-config:finds the libraries
libdnnl-dev:/usr/include/dnnl.h:matrix products (oneDNN)
ocl-icd-opencl-dev:/usr/include/CL/cl.h:named by Debian's oneDNN package, whose CMake files look for it
nlohmann-json3-dev:/usr/include/nlohmann/json.hpp:JSON
libcli11-dev:/usr/include/CLI/CLI.hpp:the command line
libfmt-dev:/usr/include/fmt/format.h:text formatting
libeigen3-dev:/usr/include/eigen3/Eigen/Dense:singular values (capacity --measured-rank)
libpcre2-dev:/usr/include/pcre2.h:patterns of tokenizers
libutf8proc-dev:/usr/include/utf8proc.h:Unicode normal forms for tokenizers
zlib1g-dev:/usr/include/zlib.h:reading .gz
libzstd-dev:/usr/include/zstd.h:reading .zst
libxxhash-dev:/usr/include/xxhash.h:checksums
"
test_packages="
libgtest-dev:/usr/include/gtest/gtest.h:the tests
libgmock-dev:/usr/include/gmock/gmock.h:the tests
python3:/usr/bin/python3:tests of the command line
xxhash:/usr/bin/xxh128sum:checks a checkpoint's manifest from outside
"
text_packages="
bible-kjv:/usr/bin/bible:English text to train on (4.4 MB)
"

# need LIST...: installs what is missing with apt when we may, else says exactly what to install and stops.
need() {
  local missing="" package file why
  while IFS=: read -r package file why; do
    [ -n "$package" ] || continue
    [ -e "$file" ] && continue
    missing="$missing $package"
    echo "needed: $package ($why)" >&2
  done <<EOF
$*
EOF
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Please install them and run this again:" >&2
    echo "  sudo apt-get install$missing" >&2
    return 1
  fi
  echo "installing:$missing"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 && return 0
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# build PRESET [TARGET...]: configure and compile build/PRESET.
build() {
  local preset=$1 options=""
  shift
  command -v ccache >/dev/null && options="-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"
  cmake --preset "$preset" $options $MFA_CMAKE_OPTIONS >build-configure.log 2>&1 || { cat build-configure.log; return 1; }
  rm -f build-configure.log
  cmake --build --preset "$preset" ${@:+--target "$@"}
}

elapsed() { echo "$1: $(($(date +%s) - $2)) s"; }
