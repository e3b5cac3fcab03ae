/* The limit: each workload as C, built with gcc -O3 -march=native -ffast-math -fopenmp, for one type REAL.
 *
 * Every function takes the addresses of its arrays, results last, and sizes. Results go to memory that is there
 * already. Threads take part from a size on at which it pays.
 */
#include <math.h>
#include <stddef.h>

#define BIG (1L << 17) /* elements from which on two threads are faster */

#if DOUBLE
#define REAL double
#define EXP exp
#define LOG log
#define SQRT sqrt
#define ERF erf
#define TANH tanh
#else
#define REAL float
#define EXP expf
#define LOG logf
#define SQRT sqrtf
#define ERF erff
#define TANH tanhf
#endif

#define C(x) ((REAL)(x))
typedef void workload(REAL **arrays, const long *sizes);

/* Many calls without Python in between; `workload` is called through a pointer, so no call is left out. */
void repeat(workload *run, REAL **arrays, const long *sizes, long count)
{
    for (long i = 0; i < count; i++)
        run(arrays, sizes);
}

void chain(REAL **a, const long *n)
{
    const REAL *restrict x = a[0];
    REAL *restrict out = a[1];
#pragma omp parallel for simd if (n[0] >= BIG)
    for (long i = 0; i < n[0]; i++) {
        REAL v = x[i];
        out[i] = (((v * C(2) + C(1)) * v - C(3)) * v + C(0.5)) * v;
    }
}

void option_values(REAL **a, const long *n)
{
    const REAL *restrict spot = a[0], *restrict strike = a[1], *restrict years = a[2];
    REAL *restrict calls = a[3], *restrict puts = a[4];
    const REAL rate = C(RATE), volatility = C(VOLATILITY), drift = C(RATE + 0.5 * VOLATILITY * VOLATILITY);
#pragma omp parallel for simd if (n[0] >= BIG / 16)
    for (long i = 0; i < n[0]; i++) {
        REAL spread = volatility * SQRT(years[i]);
        REAL d1 = (LOG(spot[i] / strike[i]) + drift * years[i]) / spread, d2 = d1 - spread;
        REAL discounted = strike[i] * EXP(-rate * years[i]);
        REAL value = spot[i] * (C(0.5) + C(0.5) * ERF(d1 * C(ROOT_HALF)))
            - discounted * (C(0.5) + C(0.5) * ERF(d2 * C(ROOT_HALF)));
        calls[i] = value;
        puts[i] = value - spot[i] + discounted;
    }
}

void activations(REAL **a, const long *n)
{
    const REAL *restrict x = a[0];
    REAL *restrict out = a[1];
#pragma omp parallel for simd if (n[0] >= BIG / 16)
    for (long i = 0; i < n[0]; i++) {
        REAL y = TANH(C(1) / (C(1) + EXP(-x[i])));
        out[i] = C(0.5) * y * (C(1) + TANH(C(GELU_SCALE) * (y + C(GELU_CUBE) * y * y * y)));
    }
}

static REAL largest_of(const REAL *restrict x, long columns)
{
    REAL largest = x[0];
#pragma omp simd reduction(max : largest)
    for (long j = 0; j < columns; j++)
        largest = x[j] > largest ? x[j] : largest;
    return largest;
}

void softmax(REAL **a, const long *n)
{
#pragma omp parallel for if (n[0] * n[1] >= BIG / 8)
    for (long i = 0; i < n[0]; i++) {
        const REAL *restrict x = a[0] + i * n[1];
        REAL *restrict out = a[1] + i * n[1];
        REAL largest = largest_of(x, n[1]), total = 0;
#pragma omp simd reduction(+ : total)
        for (long j = 0; j < n[1]; j++)
            total += out[j] = EXP(x[j] - largest);
        REAL scale = C(1) / total;
#pragma omp simd
        for (long j = 0; j < n[1]; j++)
            out[j] *= scale;
    }
}

void layer_norm(REAL **a, const long *n)
{
#pragma omp parallel for if (n[0] * n[1] >= BIG / 4)
    for (long i = 0; i < n[0]; i++) {
        const REAL *restrict x = a[0] + i * n[1];
        REAL *restrict out = a[1] + i * n[1];
        REAL total = 0, squares = 0;
#pragma omp simd reduction(+ : total)
        for (long j = 0; j < n[1]; j++)
            total += x[j];
        REAL mean = total / n[1];
#pragma omp simd reduction(+ : squares)
        for (long j = 0; j < n[1]; j++)
            squares += (x[j] - mean) * (x[j] - mean);
        REAL scale = C(1) / SQRT(squares / n[1] + C(EPSILON));
#pragma omp simd
        for (long j = 0; j < n[1]; j++)
            out[j] = (x[j] - mean) * scale;
    }
}

void logsumexp(REAL **a, const long *n)
{
#pragma omp parallel for if (n[0] * n[1] >= BIG / 8)
    for (long i = 0; i < n[0]; i++) {
        const REAL *restrict x = a[0] + i * n[1];
        REAL largest = largest_of(x, n[1]), total = 0;
#pragma omp simd reduction(+ : total)
        for (long j = 0; j < n[1]; j++)
            total += EXP(x[j] - largest);
        a[1][i] = LOG(total) + largest;
    }
}

void mean_squared_error(REAL **a, const long *n)
{
    const REAL *restrict predictions = a[0], *restrict targets = a[1];
    REAL *restrict gradient = a[3];
    REAL total = 0, scale = C(2) / n[0];
#pragma omp parallel for simd reduction(+ : total) if (n[0] >= BIG)
    for (long i = 0; i < n[0]; i++) {
        REAL difference = predictions[i] - targets[i];
        total += difference * difference;
        gradient[i] = scale * difference;
    }
    a[2][0] = total / n[0];
}
