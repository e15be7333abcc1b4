// A visitor made of lambdas, for std::visit over variants of events and effects.
#pragma once

namespace dots::base {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

}  // namespace dots::base
