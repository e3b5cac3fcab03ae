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
#pragma omp parallel for simd if (parallel : n[0] >= BIG)
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
#pragma omp parallel for simd if (parallel : n[0] >= BIG / 16)
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
#pragma omp parallel for simd if (parallel : n[0] >= BIG / 16)
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
#pragma omp parallel for if (parallel : n[0] * n[1] >= BIG / 8)
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
#pragma omp parallel for if (parallel : n[0] * n[1] >= BIG / 4)
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
#pragma omp parallel for if (parallel : n[0] * n[1] >= BIG / 8)
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
    REAL scale = C(2) / n[0];
    double total = 0; /* of blocks: millions of float32 added one by one lose too many digits */
#pragma omp parallel for reduction(+ : total) if (parallel : n[0] >= BIG)
    for (long block = 0; block < n[0]; block += 8192) {
        long end = block + 8192 < n[0] ? block + 8192 : n[0];
        REAL part = 0;
#pragma omp simd reduction(+ : part)
        for (long i = block; i < end; i++) {
            REAL difference = predictions[i] - targets[i];
            part += difference * difference;
            gradient[i] = scale * difference;
        }
        total += part;
    }
    a[2][0] = (REAL)(total / n[0]);
}

/* Matrix products: OpenBLAS, one thread for each part of the result. Arrays are in C order, BLAS counts columns first. */

typedef void gemm_function(const char *, const char *, const int *, const int *, const int *, const REAL *, const REAL *,
                           const int *, const REAL *, const int *, const REAL *, REAL *, const int *);
static gemm_function *gemm;

void set_gemm(gemm_function *given)
{
    gemm = given;
}

static void part_of_product(char ta, char tb, long m, long n, long k, REAL alpha, const REAL *a, long lda, const REAL *b,
                            long ldb, REAL beta, REAL *c, long ldc)
{
    int im = (int)m, in = (int)n, ik = (int)k, ia = (int)lda, ib = (int)ldb, ic = (int)ldc;
    if (m > 0 && n > 0)
        gemm(&tb, &ta, &in, &im, &ik, &alpha, b, &ib, a, &ia, &beta, c, &ic);
}

/* c[m][n] = alpha * a @ b + beta * c, where `ta` and `tb` are 'T' for a stored as [k][m] and b stored as [n][k] */
static void product_of(char ta, char tb, long m, long n, long k, REAL alpha, const REAL *a, const REAL *b, REAL beta,
                       REAL *c)
{
    long lda = ta == 'T' ? m : k, ldb = tb == 'T' ? k : n;
#pragma omp parallel for if (parallel : m * n * k >= 1L << 19) schedule(static, 1) num_threads(2)
    for (long part = 0; part < 2; part++) {
        if (m >= n) {
            long from = part ? m / 2 : 0, rows = part ? m - m / 2 : m / 2;
            part_of_product(ta, tb, rows, n, k, alpha, ta == 'T' ? a + from : a + from * k, lda, b, ldb, beta, c + from * n, n);
        } else {
            long from = part ? n / 2 : 0, columns = part ? n - n / 2 : n / 2;
            part_of_product(ta, tb, m, columns, k, alpha, a, lda, tb == 'T' ? b + from * k : b + from, ldb, beta, c + from, n);
        }
    }
}

void product(REAL **a, const long *n)
{
    product_of('N', 'N', n[0], n[2], n[1], 1, a[0], a[1], 0, a[2]);
}

/* Training steps */

static void add_bias(REAL *restrict x, const REAL *restrict bias, long rows, long columns)
{
    for (long i = 0; i < rows; i++)
#pragma omp simd
        for (long j = 0; j < columns; j++)
            x[i * columns + j] += bias[j];
}

static void add_bias_relu(REAL *restrict x, const REAL *restrict bias, long rows, long columns)
{
    for (long i = 0; i < rows; i++)
#pragma omp simd
        for (long j = 0; j < columns; j++) {
            REAL v = x[i * columns + j] + bias[j];
            x[i * columns + j] = v > 0 ? v : 0;
        }
}

static void sum_rows(const REAL *restrict x, REAL *restrict sums, REAL scale, long rows, long columns)
{
    for (long i = 0; i < rows; i++)
#pragma omp simd
        for (long j = 0; j < columns; j++)
            sums[j] += scale * x[i * columns + j];
}

/* Logits become the gradient of the mean cross entropy, which is returned. */
static REAL cross_entropy(REAL *restrict logits, const long *restrict labels, long rows, long classes)
{
    REAL loss = 0;
    for (long i = 0; i < rows; i++) {
        REAL *restrict row = logits + i * classes;
        REAL largest = largest_of(row, classes), total = 0, wanted = row[labels[i]];
#pragma omp simd reduction(+ : total)
        for (long j = 0; j < classes; j++)
            total += row[j] = EXP(row[j] - largest);
        loss += LOG(total) + largest - wanted;
        REAL scale = C(1) / (total * rows);
#pragma omp simd
        for (long j = 0; j < classes; j++)
            row[j] *= scale;
        row[labels[i]] -= C(1) / rows;
    }
    return loss / rows;
}

/* images, labels, w1, b1, w2, b2, hidden, logits, inner, loss; sizes: batch, pixels, hidden, classes */
void descend(REAL **a, const long *n)
{
    const REAL *images = a[0], rate = C(STEP_RATE);
    REAL *w1 = a[2], *b1 = a[3], *w2 = a[4], *b2 = a[5], *restrict hidden = a[6], *logits = a[7], *restrict inner = a[8];
    long batch = n[0], pixels = n[1], width = n[2], classes = n[3];
    product_of('N', 'N', batch, width, pixels, 1, images, w1, 0, hidden);
    add_bias(hidden, b1, batch, width);
#pragma omp simd
    for (long i = 0; i < batch * width; i++)
        hidden[i] = TANH(hidden[i]);
    part_of_product('N', 'N', batch, classes, width, 1, hidden, width, w2, classes, 0, logits, classes);
    add_bias(logits, b2, batch, classes);
    a[9][0] = cross_entropy(logits, (const long *)a[1], batch, classes);
    part_of_product('N', 'T', batch, width, classes, 1, logits, classes, w2, classes, 0, inner, width);
#pragma omp simd
    for (long i = 0; i < batch * width; i++)
        inner[i] *= C(1) - hidden[i] * hidden[i];
    part_of_product('T', 'N', width, classes, batch, -rate, hidden, width, logits, classes, 1, w2, classes);
    sum_rows(logits, b2, -rate, batch, classes);
    product_of('T', 'N', pixels, width, batch, -rate, images, inner, 1, w1);
    sum_rows(inner, b1, -rate, batch, width);
}

static void adam(REAL *restrict value, const REAL *restrict gradient, REAL *restrict m, REAL *restrict v, REAL rate, long count)
{
#pragma omp parallel for simd if (parallel : count >= 1L << 14)
    for (long i = 0; i < count; i++) {
        m[i] += C(1 - DECAY_1) * (gradient[i] - m[i]);
        v[i] += C(1 - DECAY_2) * (gradient[i] * gradient[i] - v[i]);
        value[i] -= rate * m[i] / (SQRT(v[i]) + C(ADAM_EPSILON));
    }
}

static void back_through_relu(REAL *restrict gradient, const REAL *restrict output, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++)
        gradient[i] = output[i] > 0 ? gradient[i] : 0;
}

/* images, labels, six parameters, their six gradients, first and second moments, then count, activations 1 to 3,
 * the gradients of the first two, loss; sizes: batch, pixels, hidden, hidden, classes */
void adapt(REAL **a, const long *n)
{
    REAL **value = a + 2, **gradient = a + 8, **first = a + 14, **second = a + 20, *count = a[26], *layer[4] = {a[0], a[27], a[28], a[29]};
    REAL *back[4] = {0, a[30], a[31], a[29]};
    for (int i = 0; i < 3; i++) {
        product_of('N', 'N', n[0], n[i + 2], n[i + 1], 1, layer[i], value[2 * i], 0, layer[i + 1]);
        if (i < 2)
            add_bias_relu(layer[i + 1], value[2 * i + 1], n[0], n[i + 2]);
        else
            add_bias(layer[i + 1], value[2 * i + 1], n[0], n[i + 2]);
    }
    a[32][0] = cross_entropy(layer[3], (const long *)a[1], n[0], n[4]);
    for (int i = 2; i >= 0; i--) {
        product_of('T', 'N', n[i + 1], n[i + 2], n[0], 1, layer[i], back[i + 1], 0, gradient[2 * i]);
        for (long j = 0; j < n[i + 2]; j++)
            gradient[2 * i + 1][j] = 0;
        sum_rows(back[i + 1], gradient[2 * i + 1], 1, n[0], n[i + 2]);
        if (i > 0) {
            product_of('N', 'T', n[0], n[i + 1], n[i + 2], 1, back[i + 1], value[2 * i], 0, back[i]);
            back_through_relu(back[i], layer[i], n[0] * n[i + 1]);
        }
    }
    count[0] += 1;
    REAL rate = (REAL)(ADAM_RATE * sqrt(1 - pow(DECAY_2, count[0])) / (1 - pow(DECAY_1, count[0])));
    for (int i = 0; i < 6; i++)
        adam(value[i], gradient[i], first[i], second[i], rate, i % 2 ? n[i / 2 + 2] : n[i / 2 + 1] * n[i / 2 + 2]);
}

/* x, y, w, b, loss; two columns */
void regress(REAL **a, const long *n)
{
    const REAL *restrict x = a[0], *restrict y = a[1];
    REAL w0 = a[2][0], w1 = a[2][1], b = a[3][0], loss = 0, g0 = 0, g1 = 0, gb = 0, rate = C(STEP_RATE) / n[0];
#pragma omp simd reduction(+ : loss, g0, g1, gb)
    for (long i = 0; i < n[0]; i++) {
        REAL x0 = x[2 * i], x1 = x[2 * i + 1], z = x0 * w0 + x1 * w1 + b;
        REAL power = EXP(z < 0 ? z : -z), share = C(1) / (C(1) + power);
        REAL g = (z < 0 ? power * share : share) - y[i];
        loss += (z > 0 ? z : 0) - y[i] * z + LOG(C(1) + power);
        g0 += x0 * g;
        g1 += x1 * g;
        gb += g;
    }
    a[2][0] = w0 - rate * g0;
    a[2][1] = w1 - rate * g1;
    a[3][0] = b - rate * gb;
    a[4][0] = loss / n[0];
}

/* G1 */

void rosenbrock(REAL **a, const long *n)
{
    const REAL *restrict x = a[0];
    REAL *restrict gradient = a[2];
    long last = n[0] - 1;
    double total = 0;
#pragma omp parallel for reduction(+ : total) if (parallel : n[0] >= BIG)
    for (long block = 1; block < last; block += 4096) {
        long end = block + 4096 < last ? block + 4096 : last;
        REAL part = 0;
#pragma omp simd reduction(+ : part)
        for (long i = block; i < end; i++) {
            REAL bend = x[i + 1] - x[i] * x[i], rest = C(1) - x[i], before = x[i] - x[i - 1] * x[i - 1];
            part += C(100) * bend * bend + rest * rest;
            gradient[i] = C(200) * before - C(400) * bend * x[i] - C(2) * rest;
        }
        total += part;
    }
    REAL bend = x[1] - x[0] * x[0], rest = C(1) - x[0];
    gradient[0] = -C(400) * bend * x[0] - C(2) * rest;
    gradient[last] = C(200) * (x[last] - x[last - 1] * x[last - 1]);
    a[1][0] = (REAL)(total + C(100) * bend * bend + rest * rest);
}

#include "loops_in_c.c"
