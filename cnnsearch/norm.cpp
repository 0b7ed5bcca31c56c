// Batch normalisation with the ReLU and the max pooling behind it, forward and backward, in as few passes over the
// maps as there can be: on a CPU these layers wait for memory, not for arithmetic.
//
// Maps are channels last: (images, height, width, channels), float or bf16; sums and all else are float. One thread.
// Compiled by cnnsearch/native.py; what is computed, and why so, is told in cnnsearch/fused.py.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

struct bf16 {
    uint16_t bits;
};

// Numbers that lie in one register (vectors of the compilers gcc and clang).
template <int L>
struct Vectors;
#define VECTORS(L)                                                       \
    template <>                                                          \
    struct Vectors<L> {                                                  \
        typedef float Floats __attribute__((vector_size(4 * L)));        \
        typedef int32_t Ints __attribute__((vector_size(4 * L)));        \
        typedef uint32_t Unsigned __attribute__((vector_size(4 * L)));   \
        typedef uint16_t Shorts __attribute__((vector_size(2 * L)));     \
        typedef uint8_t Bytes __attribute__((vector_size(L)));           \
    };
VECTORS(16) VECTORS(8) VECTORS(4) VECTORS(2) VECTORS(1)

template <int L>
struct Lanes {
    using Floats = typename Vectors<L>::Floats;
    using Ints = typename Vectors<L>::Ints;
    using Unsigned = typename Vectors<L>::Unsigned;
    using Shorts = typename Vectors<L>::Shorts;
    using Bytes = typename Vectors<L>::Bytes;

    static Floats load(const float *from) {
        Floats values;
        std::memcpy(&values, from, sizeof values);
        return values;
    }
    static Floats load(const bf16 *from) {
        Shorts bits;
        std::memcpy(&bits, from, sizeof bits);
        const Ints wide = __builtin_convertvector(bits, Ints) << 16;
        Floats values;
        std::memcpy(&values, &wide, sizeof values);
        return values;
    }
    static void store(float *to, Floats values) { std::memcpy(to, &values, sizeof values); }
    static void store(bf16 *to, Floats values) {  // to the nearest, ties to even
#ifdef __AVX512BF16__
        if constexpr (L == 16) {
            const __m256bh narrow = _mm512_cvtneps_pbh((__m512)values);
            std::memcpy(to, &narrow, sizeof narrow);
            return;
        }
#endif
        Unsigned bits;
        std::memcpy(&bits, &values, sizeof bits);
        bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        bits = values != values ? Unsigned{} + 0x7fc0 : bits;  // some NaN would be rounded to 0
        const Shorts narrow = __builtin_convertvector(bits, Shorts);
        std::memcpy(to, &narrow, sizeof narrow);
    }
    static Ints load(const uint8_t *from) {
        Bytes bytes;
        std::memcpy(&bytes, from, sizeof bytes);
        return __builtin_convertvector(bytes, Ints);
    }
    static void store(uint8_t *to, Ints values) {
        const Bytes bytes = __builtin_convertvector(values, Bytes);
        std::memcpy(to, &bytes, sizeof bytes);
    }
};

// Takes neighbours by sixteens where registers are as wide, then by eights and so on down to a single one.
template <class Step>
inline void by_lanes(int64_t count, Step step) {
    int64_t index = 0;
#ifdef __AVX512BW__
    for (; index + 16 <= count; index += 16) step(Lanes<16>(), index);
#endif
    for (; index + 8 <= count; index += 8) step(Lanes<8>(), index);
    for (; index + 4 <= count; index += 4) step(Lanes<4>(), index);
    for (; index + 2 <= count; index += 2) step(Lanes<2>(), index);
    if (index < count) step(Lanes<1>(), index);
}

// So many pixels are taken as one, that the innermost loops are long also where channels are few, and fill whole
// registers: what is left over costs as much as several full ones.
inline int64_t side_by_side(int64_t channels) {
    const int64_t least = 16 / std::gcd(channels, int64_t(16));
    return least * ((64 + channels * least - 1) / (channels * least));
}

std::vector<float> tiled(const float *values, int64_t channels, int64_t times) {
    std::vector<float> tiles;
    for (int64_t time = 0; time < times; ++time) tiles.insert(tiles.end(), values, values + channels);
    return tiles;
}

// Walks over all pixels, `width` numbers at a time; `step(place, count)` takes the rest, whole pixels too, last.
template <class Step>
inline void walk(int64_t begin, int64_t end, int64_t width, Step step) {
    int64_t place = begin;
    for (; place + width <= end; place += width) step(place, width);
    if (place < end) step(place, end - place);
}

// Floats add up to a block, doubles to the whole: the sums stay exact to about seven digits.
constexpr int64_t BLOCK = 128;

template <class Term>
void add_up(int64_t numbers, int64_t channels, double *first_C, double *second_C, Term term) {
    const int64_t width = channels * side_by_side(channels);
    std::vector<float> first(width), second(width);
    for (int64_t block = 0; block < numbers; block += BLOCK * width) {
        std::fill(first.begin(), first.end(), 0.f);
        std::fill(second.begin(), second.end(), 0.f);
        walk(block, std::min(numbers, block + BLOCK * width), width, [&](int64_t place, int64_t count) {
            term(place, count, first.data(), second.data());
        });
        for (int64_t index = 0; index < width; ++index) {
            first_C[index % channels] += first[index];
            second_C[index % channels] += second[index];
        }
    }
}

struct Windows {
    int64_t images, channels, height, width, out_height, out_width, kernel[2], stride[2], padding[2], dilation[2];

    bool apart() const {  // no pixel lies in two of them
        return stride[0] >= kernel[0] && stride[1] >= kernel[1] && dilation[0] == 1 && dilation[1] == 1;
    }
    bool cover() const {  // where they lie apart: each pixel lies in one
        return stride[0] == kernel[0] && stride[1] == kernel[1] && out_height * stride[0] - padding[0] >= height &&
               out_width * stride[1] - padding[1] >= width;
    }
};

// Taps of a window: which they are, and how many numbers behind the window's corner they stand.
struct Taps {
    int32_t count = 0, number[256];
    int64_t place[256];
};

// Gives each window of an image: where its output stands, where its corner, and the taps that lie on the map.
template <class Step>
inline void each_window(const Windows &w, int64_t image, Step step) {
    const auto taps = [&](auto lies_on_map) {
        Taps found;
        for (int64_t i = 0; i < w.kernel[0]; ++i)
            for (int64_t j = 0; j < w.kernel[1]; ++j) {
                const int64_t down = i * w.dilation[0], right = j * w.dilation[1];
                if (!lies_on_map(down, right)) continue;
                found.number[found.count] = int32_t(i * w.kernel[1] + j);
                found.place[found.count++] = (down * w.width + right) * w.channels;
            }
        return found;
    };
    const Taps all = taps([](int64_t, int64_t) { return true; });
    const int64_t last_y = w.height - 1 - w.dilation[0] * (w.kernel[0] - 1);
    const int64_t last_x = w.width - 1 - w.dilation[1] * (w.kernel[1] - 1);
    int64_t out = image * w.out_height * w.out_width * w.channels;
    for (int64_t row = 0; row < w.out_height; ++row)
        for (int64_t column = 0; column < w.out_width; ++column, out += w.channels) {
            const int64_t y = row * w.stride[0] - w.padding[0], x = column * w.stride[1] - w.padding[1];
            const int64_t corner = ((image * w.height + y) * w.width + x) * w.channels;
            if (y >= 0 && y <= last_y && x >= 0 && x <= last_x)
                step(out, corner, all);
            else
                step(out, corner, taps([=](int64_t down, int64_t right) {
                         return y + down >= 0 && y + down < w.height && x + right >= 0 && x + right < w.width;
                     }));
        }
}

// What is known of each channel once it was measured, in rows of one array: y = scale * x + shift.
struct Known {
    const float *mean, *inverse, *scale, *shift;
    Known(const float *rows, int64_t channels)
        : mean(rows), inverse(rows + channels), scale(rows + 2 * channels), shift(rows + 3 * channels) {}
};

// Rounded where torch rounds, so that weights score the same to the last digit where torch's own layers read them.
void know(int64_t channels, const float *mean, const float *var, const float *weight, const float *bias, double eps,
          float *rows) {
    for (int64_t channel = 0; channel < channels; ++channel) {
        const float inverse = 1 / std::sqrt(var[channel] + float(eps)), scale = weight[channel] * inverse;
        rows[channel] = mean[channel];
        rows[channels + channel] = inverse;
        rows[2 * channels + channel] = scale;
        rows[3 * channels + channel] = bias[channel] - float(double(mean[channel]) * scale);
    }
}

// Normalises by the batch's own mean and variance, which the running ones then remember.
template <class T>
void measure(const T *__restrict x, int64_t numbers, int64_t channels, float *running_mean, float *running_var,
             double momentum, const float *weight, const float *bias, double eps, float *rows) {
    const auto shift = tiled(running_mean, channels, side_by_side(channels));  // near the mean: little cancels out
    std::vector<double> sum_C(channels), square_C(channels);
    add_up(numbers, channels, sum_C.data(), square_C.data(),
           [&](int64_t place, int64_t count, float *__restrict sum, float *__restrict square) {
               const float *__restrict from = shift.data();
               by_lanes(count, [&](auto lanes, int64_t index) {
                   typedef decltype(lanes) L;
                   const typename L::Floats distance = L::load(x + place + index) - L::load(from + index);
                   L::store(sum + index, L::load(sum + index) + distance);
                   L::store(square + index, L::load(square + index) + distance * distance);
               });
           });
    const double pixels = double(numbers) / double(channels);
    std::vector<float> mean_C(channels), var_C(channels);
    for (int64_t channel = 0; channel < channels; ++channel) {
        const double distance = sum_C[channel] / pixels;
        const double mean = distance + running_mean[channel];
        const double below = square_C[channel] / pixels - distance * distance, var = below < 0 ? 0 : below;
        mean_C[channel] = float(mean);
        var_C[channel] = float(var);
        running_mean[channel] = float(running_mean[channel] + momentum * (mean - running_mean[channel]));
        const double unbiased = var * pixels / (pixels - 1);
        running_var[channel] = float(running_var[channel] + momentum * (unbiased - running_var[channel]));
    }
    know(channels, mean_C.data(), var_C.data(), weight, bias, eps, rows);
}

template <class T>
void apply(const T *__restrict x, T *__restrict y, int64_t numbers, int64_t channels, Known known, bool relu) {
    const int64_t times = side_by_side(channels);
    const auto scales = tiled(known.scale, channels, times), shifts = tiled(known.shift, channels, times);
    const float *__restrict scale = scales.data(), *__restrict shift = shifts.data();
    const float floor = relu ? 0.f : -std::numeric_limits<float>::infinity();
    walk(0, numbers, channels * times, [&](int64_t place, int64_t count) {
        by_lanes(count, [&](auto lanes, int64_t index) {
            typedef decltype(lanes) L;
            const typename L::Floats factor = L::load(scale + index), offset = L::load(shift + index);
            const typename L::Floats value = factor * L::load(x + place + index) + offset;
            L::store(y + place + index, value < floor ? typename L::Floats{} + floor : value);  // so NaN stays NaN
        });
    });
}

// `tap` is which tap of its window was the greatest, `peak` the number of x that stood there.
template <class T>
void apply_pooled(const T *__restrict x, T *__restrict y, T *__restrict peak, uint8_t *__restrict tap,
                  const Windows &w, Known known, bool relu) {
    const float least = -std::numeric_limits<float>::infinity();
    const float floor = relu ? 0.f : least;
    const int64_t channels = w.channels;
    for (int64_t image = 0; image < w.images; ++image)
        each_window(w, image, [=](int64_t out, int64_t corner, const Taps &taps) {
            by_lanes(channels, [=, &taps](auto lanes, int64_t channel) {
                typedef decltype(lanes) L;
                const typename L::Floats factor = L::load(known.scale + channel);
                const typename L::Floats offset = L::load(known.shift + channel);
                typename L::Floats best = factor * 0.f + least, at = {};
                typename L::Ints winner = {};
                for (int32_t index = 0; index < taps.count; ++index) {
                    const typename L::Floats value = L::load(x + corner + taps.place[index] + channel);
                    const typename L::Floats result = factor * value + offset;
                    const auto loses = (result <= best) | (best != best);  // so written, the first NaN stays
                    best = loses ? best : result;
                    at = loses ? at : value;
                    winner = loses ? winner : typename L::Ints{} + taps.number[index];
                }
                L::store(y + out + channel, best < floor ? typename L::Floats{} + floor : best);
                L::store(peak + out + channel, at);
                L::store(tap + out + channel, winner);
            });
        });
}

// What the gradient of y leaves behind the ReLU is summed by channel, plain and times the distance of x from its mean.
// `pixels`: of how many the mean was taken; infinite where it is fixed, and depends on none. Written are rows of one
// array: the gradients of weight and bias, and what the gradient of x needs, slope and level.
template <class T>
void sums(const T *__restrict grad_y, const T *__restrict peak, int64_t numbers, int64_t channels, double pixels,
          Known known, bool relu, float *rows) {
    const int64_t times = side_by_side(channels);
    const auto scales = tiled(known.scale, channels, times), shifts = tiled(known.shift, channels, times),
               means = tiled(known.mean, channels, times);
    std::vector<double> sum(channels), product(channels);
    const int32_t always = relu ? 0 : -1;
    add_up(numbers, channels, sum.data(), product.data(),
           [&](int64_t place, int64_t count, float *__restrict first, float *__restrict second) {
               const float *__restrict scale = scales.data(), *__restrict shift = shifts.data(),
                                       *__restrict mean = means.data();
               by_lanes(count, [&](auto lanes, int64_t index) {
                   typedef decltype(lanes) L;
                   const typename L::Floats value = L::load(peak + place + index), none = {};
                   const auto passes = (L::load(scale + index) * value + L::load(shift + index) > 0.f) | always;
                   const typename L::Floats grad = passes ? L::load(grad_y + place + index) : none;
                   L::store(first + index, L::load(first + index) + grad);
                   L::store(second + index, L::load(second + index) + grad * (value - L::load(mean + index)));
               });
           });
    for (int64_t channel = 0; channel < channels; ++channel) {
        const double inverse = known.inverse[channel], scale = known.scale[channel];
        const double slope = -scale * inverse * inverse * product[channel] / pixels;
        rows[channel] = float(product[channel] * inverse);
        rows[channels + channel] = float(sum[channel]);
        rows[2 * channels + channel] = float(slope);
        rows[3 * channels + channel] = float(-scale * sum[channel] / pixels - known.mean[channel] * slope);
    }
}

// grad_x = slope * x + level, and scale * grad_y where y came from.
template <class T>
void spread(const T *__restrict grad_y, const T *__restrict x, T *__restrict grad_x, int64_t numbers, int64_t channels,
            Known known, const float *rows, bool relu) {
    const int64_t times = side_by_side(channels);
    const auto scales = tiled(known.scale, channels, times), shifts = tiled(known.shift, channels, times),
               slopes = tiled(rows + 2 * channels, channels, times),
               levels = tiled(rows + 3 * channels, channels, times);
    const float *__restrict scale = scales.data(), *__restrict shift = shifts.data(),
                            *__restrict slope = slopes.data(), *__restrict level = levels.data();
    const int32_t always = relu ? 0 : -1;
    walk(0, numbers, channels * times, [&](int64_t place, int64_t count) {
        by_lanes(count, [&](auto lanes, int64_t index) {
            typedef decltype(lanes) L;
            const typename L::Floats value = L::load(x + place + index), factor = L::load(scale + index), none = {};
            const auto passes = (factor * value + L::load(shift + index) > 0.f) | always;
            const typename L::Floats grad = passes ? factor * L::load(grad_y + place + index) : none;
            L::store(grad_x + place + index, grad + L::load(slope + index) * value + L::load(level + index));
        });
    });
}

// slope * x + level alone, of one image.
template <class T, class To>
void spread_level(const T *__restrict x, To *__restrict to, int64_t numbers, int64_t channels, const float *rows) {
    const int64_t times = side_by_side(channels);
    const auto slopes = tiled(rows + 2 * channels, channels, times),
               levels = tiled(rows + 3 * channels, channels, times);
    const float *__restrict slope = slopes.data(), *__restrict level = levels.data();
    walk(0, numbers, channels * times, [&](int64_t place, int64_t count) {
        by_lanes(count, [&](auto lanes, int64_t index) {
            typedef decltype(lanes) L;
            const typename L::Floats factor = L::load(slope + index), offset = L::load(level + index);
            L::store(to + place + index, factor * L::load(x + place + index) + offset);
        });
    });
}

// The same where a pool stands behind: y came from the pixels that won their windows.
template <class T>
void spread_pooled(const T *__restrict grad_y, const T *__restrict x, const T *__restrict peak,
                   const uint8_t *__restrict tap, T *__restrict grad_x, const Windows &w, Known known,
                   const float *rows, bool relu) {
    const int64_t channels = w.channels, numbers = w.height * w.width * channels;
    const float *slope = rows + 2 * channels, *level = rows + 3 * channels;
    const float floor = relu ? 0.f : -std::numeric_limits<float>::infinity();
    const auto from_window = [=](int64_t out, auto lanes, int64_t channel) {
        typedef decltype(lanes) L;
        const typename L::Floats factor = L::load(known.scale + channel), none = {};
        const auto result = factor * L::load(peak + out + channel) + L::load(known.shift + channel);
        const typename L::Floats grad = factor * L::load(grad_y + out + channel);
        return typename L::Floats(result > floor ? grad : none);
    };
    std::vector<float> map(w.apart() ? 0 : numbers);
    float *const sum = map.data();  // of one image, which stays in the cache meanwhile
    for (int64_t image = 0; image < w.images; ++image) {
        const int64_t first = image * numbers;
        if (w.apart()) {  // a pixel of one window at most is written as soon as that is seen
            if (!w.cover()) spread_level(x + first, grad_x + first, numbers, channels, rows);
            each_window(w, image, [=](int64_t out, int64_t corner, const Taps &taps) {
                by_lanes(channels, [=, &taps](auto lanes, int64_t channel) {
                    typedef decltype(lanes) L;
                    const typename L::Floats grad = from_window(out, lanes, channel), none = {};
                    const typename L::Floats factor = L::load(slope + channel), offset = L::load(level + channel);
                    const typename L::Ints winner = L::load(tap + out + channel);
                    for (int32_t index = 0; index < taps.count; ++index) {
                        const int64_t place = corner + taps.place[index] + channel;
                        const typename L::Floats rest = factor * L::load(x + place) + offset;
                        L::store(grad_x + place, rest + (winner == taps.number[index] ? grad : none));
                    }
                });
            });
        } else {
            spread_level(x + first, sum, numbers, channels, rows);
            each_window(w, image, [=](int64_t out, int64_t corner, const Taps &taps) {
                by_lanes(channels, [=, &taps](auto lanes, int64_t channel) {
                    typedef decltype(lanes) L;
                    const typename L::Floats grad = from_window(out, lanes, channel), none = {};
                    const typename L::Ints winner = L::load(tap + out + channel);
                    for (int32_t index = 0; index < taps.count; ++index) {
                        float *to = sum + corner - first + taps.place[index] + channel;
                        L::store(to, L::load(to) + (winner == taps.number[index] ? grad : none));
                    }
                });
            });
            by_lanes(numbers, [=](auto lanes, int64_t index) {
                typedef decltype(lanes) L;
                L::store(grad_x + first + index, L::load(sum + index));
            });
        }
    }
}

}  // namespace

#define FOR_EACH_TYPE(DO) DO(float, float) DO(bf16, bf16)

#define DEFINE(T, NAME)                                                                                                \
    void recall_##NAME(const T *, int64_t channels, const float *mean, const float *var, const float *weight,          \
                       const float *bias, double eps, float *known) {                                                  \
        know(channels, mean, var, weight, bias, eps, known);                                                           \
    }                                                                                                                  \
    void measure_##NAME(const T *x, int64_t numbers, int64_t channels, float *mean, float *var, double momentum,       \
                        const float *weight, const float *bias, double eps, float *known) {                            \
        measure(x, numbers, channels, mean, var, momentum, weight, bias, eps, known);                                  \
    }                                                                                                                  \
    void apply_##NAME(const T *x, T *y, int64_t numbers, int64_t channels, const float *known, int64_t relu) {         \
        apply(x, y, numbers, channels, {known, channels}, relu);                                                       \
    }                                                                                                                  \
    void apply_pooled_##NAME(const T *x, T *y, T *peak, uint8_t *tap, const Windows *windows, const float *known,      \
                             int64_t relu) {                                                                           \
        apply_pooled(x, y, peak, tap, *windows, {known, windows->channels}, relu);                                     \
    }                                                                                                                  \
    void sums_##NAME(const T *grad_y, const T *peak, int64_t numbers, int64_t channels, double pixels,                 \
                     const float *known, int64_t relu, float *gradients) {                                             \
        sums(grad_y, peak, numbers, channels, pixels, {known, channels}, relu, gradients);                             \
    }                                                                                                                  \
    void spread_##NAME(const T *grad_y, const T *x, T *grad_x, int64_t numbers, int64_t channels, const float *known,  \
                       const float *gradients, int64_t relu) {                                                         \
        spread(grad_y, x, grad_x, numbers, channels, {known, channels}, gradients, relu);                              \
    }                                                                                                                  \
    void spread_pooled_##NAME(const T *grad_y, const T *x, const T *peak, const uint8_t *tap, T *grad_x,               \
                              const Windows *windows, const float *known, const float *gradients, int64_t relu) {      \
        spread_pooled(grad_y, x, peak, tap, grad_x, *windows, {known, windows->channels}, gradients, relu);            \
    }

extern "C" {
FOR_EACH_TYPE(DEFINE)
}
