// What a layer that works on each pixel of a pair by itself is to the rest: functions of two kinds of argument. Their code
// is generated from the layer's JAX expression, see codegen.py, and compiled into a library of its own.
#pragma once
#include "lanes.h"

// Forward: n pixels (for vectors, blocks of lanes) of one training point against LANES test points. Entry e of a tape
// stands at x[e * n + j] for the test points, at p[e * np + k] for the training point, which has np = n pixels or 1.
struct Pixels {
  int64_t n, np;
  const V *v, *theta, *difference;
  V *v_out, *theta_out, *difference_out;
  V* kept;  // n of each derivative that the pass back needs
  const V* x;
  const float* p;
};

// Back: adjoints of what the layer gave become those of what it was given, and are added to those of the tapes: of x times
// the training point's weight, of p times the test points' weights.
struct Adjoints {
  int64_t n, np;
  const V *v, *theta;
  V *v_in, *theta_in;
  bool fresh;  // whether nothing stands there yet
  const V* kept;
  V* x_bar;
  float weight;
  float* p_bar;
  const V* weights;
};

struct Pixelwise {
  int64_t kept_one, kept_both;  // maps kept for derivatives in the test points alone, and in the training point too
  void (*values)(const Pixels&);
  void (*one)(const Pixels&);
  void (*both)(const Pixels&);
  void (*back_one)(const Adjoints&);
  void (*back_both)(const Adjoints&);
};
