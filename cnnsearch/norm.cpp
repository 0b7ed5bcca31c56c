// Batch normalisation with the ReLU and the max pooling behind it, forward and backward, in as few passes over the
// maps as there can be: on a CPU these layers wait for memory, not for arithmetic.
//
// Maps are channels last: (images, height, width, channels), float or bf16; sums and all else are float. One thread.
// Compiled by cnnsearch/native.py; what is computed, and why so, is told in cnnsearch/fused.py.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

struct bf16 {
    uint16_t bits;
};

inline float load(float value) { return value; }
inline float load(bf16 value) {
    uint32_t bits = uint32_t(value.bits) << 16;
    float number;
    std::memcpy(&number, &bits, 4);
    return number;
}
inline void store(float &place, float value) { place = value; }
inline void store(bf16 &place, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (value != value) bits = 0x7fc00000;  // some NaN would be rounded to 0
    place.bits = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);  // to the nearest, ties to even
}

// So many pixels are taken as one, that the innermost loops are long also where channels are few.
inline int64_t side_by_side(int64_t channels) { return channels >= 64 ? 1 : (64 + channels - 1) / channels; }

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
};

// The taps of one window that lie on the map: which they are, and where their first number stands.
struct Taps {
    int32_t count = 0, number[256];
    int64_t place[256];

    Taps(const Windows &w, int64_t image, int64_t row, int64_t column) {
        for (int64_t i = 0; i < w.kernel[0]; ++i) {
            const int64_t y = row * w.stride[0] - w.padding[0] + i * w.dilation[0];
            if (y < 0 || y >= w.height) continue;
            for (int64_t j = 0; j < w.kernel[1]; ++j) {
                const int64_t x = column * w.stride[1] - w.padding[1] + j * w.dilation[1];
                if (x < 0 || x >= w.width) continue;
                number[count] = int32_t(i * w.kernel[1] + j);
                place[count++] = ((image * w.height + y) * w.width + x) * w.channels;
            }
        }
    }
};

// Numbers that lie in one register (vectors of the compilers gcc and clang).
template <int L>
struct Vectors;
#define VECTORS(L)                                                       \
    template <>                                                          \
    struct Vectors<L> {                                                  \
        typedef float Floats __attribute__((vector_size(4 * L)));        \
        typedef int32_t Ints __attribute__((vector_size(4 * L)));        \
        typedef uint16_t Shorts __attribute__((vector_size(2 * L)));     \
        typedef uint8_t Bytes __attribute__((vector_size(L)));           \
    };
VECTORS(8) VECTORS(4) VECTORS(2)

template <int L>
struct Lanes {
    using Floats = typename Vectors<L>::Floats;
    using Ints = typename Vectors<L>::Ints;
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
    static void store(bf16 *to, Floats values) {
        for (int lane = 0; lane < L; ++lane) ::store(to[lane], values[lane]);
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

// Channels by eights, fours and twos.
template <class Step>
inline void by_lanes(int64_t channels, Step step) {
    int64_t channel = 0;
    for (; channel + 8 <= channels; channel += 8) step(Lanes<8>(), channel);
    for (; channel + 4 <= channels; channel += 4) step(Lanes<4>(), channel);
    for (; channel < channels; channel += 2) step(Lanes<2>(), channel);
}

template <class T>
void moments(const T *__restrict x, int64_t numbers, int64_t channels, const float *shift_C, float *mean_C,
             float *var_C) {
    const auto shift = tiled(shift_C, channels, side_by_side(channels));
    std::vector<double> sum_C(channels), square_C(channels);
    add_up(numbers, channels, sum_C.data(), square_C.data(),
           [&](int64_t place, int64_t count, float *__restrict sum, float *__restrict square) {
               const float *__restrict from = shift.data();
               for (int64_t index = 0; index < count; ++index) {
                   const float distance = load(x[place + index]) - from[index];
                   sum[index] += distance;
                   square[index] += distance * distance;
               }
           });
    const double pixels = double(numbers) / double(channels);
    for (int64_t channel = 0; channel < channels; ++channel) {
        const double mean = sum_C[channel] / pixels;
        const double var = square_C[channel] / pixels - mean * mean;
        mean_C[channel] = float(mean + shift_C[channel]);
        var_C[channel] = float(var < 0 ? 0 : var);
    }
}

template <class T>
void apply(const T *__restrict x, T *__restrict y, int64_t numbers, int64_t channels, const float *scale_C,
           const float *shift_C, bool relu) {
    const int64_t times = side_by_side(channels);
    const auto scales = tiled(scale_C, channels, times), shifts = tiled(shift_C, channels, times);
    const float *__restrict scale = scales.data(), *__restrict shift = shifts.data();
    const float floor = relu ? 0.f : -std::numeric_limits<float>::infinity();
    walk(0, numbers, channels * times, [&](int64_t place, int64_t count) {
        for (int64_t index = 0; index < count; ++index) {
            const float value = scale[index] * load(x[place + index]) + shift[index];
            store(y[place + index], value < floor ? floor : value);  // so written, NaN stays NaN
        }
    });
}

// `tap` is which tap of its window was the greatest, `peak` the number of x that stood there.
template <class T>
void apply_pooled(const T *__restrict x, T *__restrict y, T *__restrict peak, uint8_t *__restrict tap,
                  const Windows &w, const float *__restrict scale, const float *__restrict shift, bool relu) {
    const float least = -std::numeric_limits<float>::infinity();
    const float floor = relu ? 0.f : least;
    int64_t out = 0;
    for (int64_t image = 0; image < w.images; ++image)
        for (int64_t row = 0; row < w.out_height; ++row)
            for (int64_t column = 0; column < w.out_width; ++column, out += w.channels) {
                const Taps taps(w, image, row, column);
                by_lanes(w.channels, [&](auto lanes, int64_t channel) {
                    typedef decltype(lanes) L;
                    const typename L::Floats factor = L::load(scale + channel), offset = L::load(shift + channel);
                    typename L::Floats best = factor * 0.f + least, at = {};
                    typename L::Ints winner = {};
                    for (int32_t index = 0; index < taps.count; ++index) {
                        const typename L::Floats value = L::load(x + taps.place[index] + channel);
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
            }
}

// What the gradient of y leaves behind the ReLU, summed by channel, plain and times the distance of x from its mean.
template <class T>
void sums(const T *__restrict grad_y, const T *__restrict peak, int64_t numbers, int64_t channels,
          const float *scale_C, const float *shift_C, const float *mean_C, bool relu, float *sum_C, float *product_C) {
    const int64_t times = side_by_side(channels);
    const auto scales = tiled(scale_C, channels, times), shifts = tiled(shift_C, channels, times),
               means = tiled(mean_C, channels, times);
    std::vector<double> sum(channels), product(channels);
    add_up(numbers, channels, sum.data(), product.data(),
           [&](int64_t place, int64_t count, float *__restrict first, float *__restrict second) {
               const float *__restrict scale = scales.data(), *__restrict shift = shifts.data(),
                                       *__restrict mean = means.data();
               for (int64_t index = 0; index < count; ++index) {
                   const float value = load(peak[place + index]);
                   const bool passes = !relu || scale[index] * value + shift[index] > 0;
                   const float grad = passes ? load(grad_y[place + index]) : 0.f;
                   first[index] += grad;
                   second[index] += grad * (value - mean[index]);
               }
           });
    for (int64_t channel = 0; channel < channels; ++channel) {
        sum_C[channel] = float(sum[channel]);
        product_C[channel] = float(product[channel]);
    }
}

// grad_x = slope * x + level, and scale * grad_y where y came from.
template <class T>
void spread(const T *__restrict grad_y, const T *__restrict x, T *__restrict grad_x, int64_t numbers, int64_t channels,
            const float *scale_C, const float *shift_C, const float *slope_C, const float *level_C, bool relu) {
    const int64_t times = side_by_side(channels);
    const auto scales = tiled(scale_C, channels, times), shifts = tiled(shift_C, channels, times),
               slopes = tiled(slope_C, channels, times), levels = tiled(level_C, channels, times);
    const float *__restrict scale = scales.data(), *__restrict shift = shifts.data(),
                            *__restrict slope = slopes.data(), *__restrict level = levels.data();
    walk(0, numbers, channels * times, [&](int64_t place, int64_t count) {
        for (int64_t index = 0; index < count; ++index) {
            const float value = load(x[place + index]);
            const bool passes = !relu || scale[index] * value + shift[index] > 0;
            const float grad = passes ? scale[index] * load(grad_y[place + index]) : 0.f;
            store(grad_x[place + index], grad + slope[index] * value + level[index]);
        }
    });
}

template <class T>
void spread_pooled(const T *__restrict grad_y, const T *__restrict x, const T *__restrict peak,
                   const uint8_t *__restrict tap, T *__restrict grad_x, const Windows &w,
                   const float *__restrict scale, const float *__restrict shift, const float *__restrict slope,
                   const float *__restrict level, bool relu) {
    const int64_t numbers = w.height * w.width * w.channels;
    const int64_t times = side_by_side(w.channels);
    const auto slopes = tiled(slope, w.channels, times), levels = tiled(level, w.channels, times);
    const float *__restrict slope_W = slopes.data(), *__restrict level_W = levels.data();
    const float floor = relu ? 0.f : -std::numeric_limits<float>::infinity();
    std::vector<float> map(std::is_same_v<T, float> ? 0 : numbers);
    int64_t out = 0;
    for (int64_t image = 0; image < w.images; ++image) {  // one image's map stays in the cache meanwhile
        const int64_t first = image * numbers;
        float *__restrict sum = map.data();
        if constexpr (std::is_same_v<T, float>) sum = grad_x + first;
        walk(0, numbers, w.channels * times, [&](int64_t place, int64_t count) {
            for (int64_t index = 0; index < count; ++index)
                sum[place + index] = slope_W[index] * load(x[first + place + index]) + level_W[index];
        });
        for (int64_t row = 0; row < w.out_height; ++row)
            for (int64_t column = 0; column < w.out_width; ++column, out += w.channels) {
                const Taps taps(w, 0, row, column);
                by_lanes(w.channels, [&](auto lanes, int64_t channel) {
                    typedef decltype(lanes) L;
                    const typename L::Floats factor = L::load(scale + channel), none = {};
                    const auto result = factor * L::load(peak + out + channel) + L::load(shift + channel);
                    const auto passes = factor * L::load(grad_y + out + channel);
                    const typename L::Floats grad = result > floor ? passes : none;
                    const typename L::Ints winner = L::load(tap + out + channel);
                    for (int32_t index = 0; index < taps.count; ++index) {
                        float *to = sum + taps.place[index] + channel;
                        L::store(to, L::load(to) + (winner == taps.number[index] ? grad : none));
                    }
                });
            }
        if constexpr (!std::is_same_v<T, float>)
            for (int64_t index = 0; index < numbers; ++index) store(grad_x[first + index], sum[index]);
    }
}

}  // namespace

#define FOR_EACH_TYPE(DO) DO(float, float) DO(bf16, bf16)

#define DEFINE(T, NAME)                                                                                                \
    void moments_##NAME(const T *x, int64_t numbers, int64_t channels, const float *shift, float *mean, float *var) {  \
        moments(x, numbers, channels, shift, mean, var);                                                               \
    }                                                                                                                  \
    void apply_##NAME(const T *x, T *y, int64_t numbers, int64_t channels, const float *scale, const float *shift,     \
                      int64_t relu) {                                                                                  \
        apply(x, y, numbers, channels, scale, shift, relu);                                                            \
    }                                                                                                                  \
    void apply_pooled_##NAME(const T *x, T *y, T *peak, uint8_t *tap, const Windows *windows, const float *scale,      \
                             const float *shift, int64_t relu) {                                                       \
        apply_pooled(x, y, peak, tap, *windows, scale, shift, relu);                                                   \
    }                                                                                                                  \
    void sums_##NAME(const T *grad_y, const T *peak, int64_t numbers, int64_t channels, const float *scale,            \
                     const float *shift, const float *mean, int64_t relu, float *sum, float *product) {                \
        sums(grad_y, peak, numbers, channels, scale, shift, mean, relu, sum, product);                                 \
    }                                                                                                                  \
    void spread_##NAME(const T *grad_y, const T *x, T *grad_x, int64_t numbers, int64_t channels, const float *scale,  \
                       const float *shift, const float *slope, const float *level, int64_t relu) {                     \
        spread(grad_y, x, grad_x, numbers, channels, scale, shift, slope, level, relu);                                \
    }                                                                                                                  \
    void spread_pooled_##NAME(const T *grad_y, const T *x, const T *peak, const uint8_t *tap, T *grad_x,               \
                              const Windows *windows, const float *scale, const float *shift, const float *slope,      \
                              const float *level, int64_t relu) {                                                      \
        spread_pooled(grad_y, x, peak, tap, grad_x, *windows, scale, shift, slope, level, relu);                       \
    }

extern "C" {
FOR_EACH_TYPE(DEFINE)
}
