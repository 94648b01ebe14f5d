// What Python asks of the library, and pixelwise layers by number: Python compiles and loads each in a library of its own
// and registers it here.
#include <mutex>
#include <unordered_map>

#include "program.h"

static std::mutex mutex;
static std::unordered_map<int64_t, const Pixelwise*> layers;

const Pixelwise* find_layer(int64_t number) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = layers.find(number);
  return found == layers.end() ? nullptr : found->second;
}

extern "C" int gantk_lanes() { return LANES; }

extern "C" void gantk_register_layer(int64_t number, const Pixelwise* layer) {
  std::lock_guard<std::mutex> lock(mutex);
  layers[number] = layer;
}
