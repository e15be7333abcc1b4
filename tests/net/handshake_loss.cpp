// Handshakes under loss, measured under virtual time: how long until a client has its session, with each credential.
//
//   dots_handshake_loss [--trials N] [--pace MS] [--steady N] [--slowest MS] [--attack 0|1]
//                       [--server-patience S] [--curve FILE]
//
// Prints a table in Markdown; --curve writes for each loss, credential and second which part had its session by then,
// as CSV for scripts/plot_curve.py. The path has a round trip of 50 ms.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/net/lossy_world.h"

namespace {

using namespace dots;
using namespace std::chrono_literals;

double seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

template <typename T>
T quantile(std::vector<T>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(part * static_cast<double>(sorted.size())))];
}

struct Cell {
  std::vector<base::Duration> times;  // sorted
  std::vector<std::size_t> datagrams, busiest;
  std::size_t trials = 0, handshakes = 0;
};

Cell measure(const test::Proofs& proofs, const test::TrialSettings& settings, std::size_t trials) {
  Cell cell;
  cell.trials = trials;
  for (std::size_t i = 0; i < trials; ++i) {
    const auto outcome = test::connect_under_loss(proofs, settings, 1000 + i);
    if (outcome.took) cell.times.push_back(*outcome.took);
    cell.datagrams.push_back(outcome.sent_by_client + outcome.sent_by_server);
    cell.busiest.push_back(outcome.most_in_a_second);
    cell.handshakes += outcome.handshakes;
  }
  std::sort(cell.times.begin(), cell.times.end());
  std::sort(cell.datagrams.begin(), cell.datagrams.end());
  std::sort(cell.busiest.begin(), cell.busiest.end());
  return cell;
}

int measure_all(int argc, char** argv) {
  std::size_t trials = 200;
  test::TrialSettings settings;
  std::ofstream curve;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    const int value = std::atoi(argv[i + 1]);
    if (key == "--trials") {
      trials = static_cast<std::size_t>(std::max(1, value));
    } else if (key == "--pace") {
      settings.client_pace.repeat_after = settings.server_pace.repeat_after = std::chrono::milliseconds{value};
    } else if (key == "--steady") {
      settings.client_pace.steady_repeats = settings.server_pace.steady_repeats = value;
    } else if (key == "--slowest") {
      settings.client_pace.slowest = settings.server_pace.slowest = std::chrono::milliseconds{value};
    } else if (key == "--server-patience") {
      settings.server_patience = std::chrono::seconds{value};
    } else if (key == "--attack") {
      settings.under_attack = value != 0;
    } else if (key == "--curve") {
      curve.open(argv[i + 1]);
    } else {
      throw std::runtime_error{"unknown option " + key};
    }
  }
  const test::Proofs proofs;
  if (curve.is_open()) curve << "loss,credential,second,part\n";
  std::printf(
      "| loss each way | credential | sessions | median s | p95 s | p99 s | longest s | datagrams, median / p95 | most "
      "of the client in 1 s | handshakes |\n| ---: | --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |\n");
  for (const int loss : {0, 25, 50, 70}) {
    for (const auto proof : test::kProofs) {
      settings.proof = proof;
      settings.path.loss = loss / 100.0;
      Cell cell = measure(proofs, settings, trials);
      if (cell.times.empty()) cell.times.push_back(settings.patience);
      std::printf("| %d %% | %s | %zu of %zu | %.1f | %.1f | %.1f | %.1f | %zu / %zu | %zu | %.1f |\n", loss,
                  test::to_string(proof), cell.times.size(), trials, seconds(quantile(cell.times, 0.5)),
                  seconds(quantile(cell.times, 0.95)), seconds(quantile(cell.times, 0.99)), seconds(cell.times.back()),
                  quantile(cell.datagrams, 0.5), quantile(cell.datagrams, 0.95), cell.busiest.back(),
                  static_cast<double>(cell.handshakes) / static_cast<double>(trials));
      std::fflush(stdout);
      for (int second = 0; curve.is_open() && second <= 60; ++second) {
        const auto within = std::upper_bound(cell.times.begin(), cell.times.end(), std::chrono::seconds{second});
        curve << loss << ',' << '"' << test::to_string(proof) << "\"," << second << ','
              << static_cast<double>(within - cell.times.begin()) / static_cast<double>(trials) << '\n';
      }
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return measure_all(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dots_handshake_loss: %s\n", error.what());
    return 1;
  }
}
