// Stopping a run from outside: Ctrl-C saves and exits cleanly.
#include <atomic>
#include <csignal>

#include "train/trainer.h"

namespace mfa {
namespace {

std::atomic<bool> g_stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  request_stop();
  std::signal(signal, SIG_DFL);
}

}  // namespace

void request_stop() { g_stop = true; }
bool stop_requested() { return g_stop; }

void stop_on_interrupt() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

}  // namespace mfa
