/* C1 to C5; a part of for_c.c. The products of all times are one product each. */

void cube_root(REAL **arrays, const long *n)
{
    REAL a = arrays[0][0], x = a, step = a;
    while (fabs(step) > C(NEAR) * fabs(x)) {
        step = (x * x * x - a) / (C(3) * x * x);
        x -= step;
    }
    arrays[1][0] = x;
}

#define SLOPES(dx, dy, dz, x, y, z) \
    REAL dx = C(PRANDTL) * ((y) - (x)), dy = (x) * (C(RAYLEIGH) - (z)) - (y), dz = (x) * (y) - C(RATIO) * (z)

/* x, y, z, results; in arrays of one number each, or, for C2v, in one of three */
static void many_steps(REAL *px, REAL *py, REAL *pz, long steps)
{
    const REAL h = C(TIME_STEP), half = h / 2, sixth = h / 6;
    REAL x = *px, y = *py, z = *pz;
    for (long i = 0; i < steps; i++) {
        SLOPES(x1, y1, z1, x, y, z);
        REAL ax = x + half * x1, ay = y + half * y1, az = z + half * z1;
        SLOPES(x2, y2, z2, ax, ay, az);
        REAL bx = x + half * x2, by = y + half * y2, bz = z + half * z2;
        SLOPES(x3, y3, z3, bx, by, bz);
        REAL cx = x + h * x3, cy = y + h * y3, cz = z + h * z3;
        SLOPES(x4, y4, z4, cx, cy, cz);
        x += sixth * (x1 + 2 * x2 + 2 * x3 + x4);
        y += sixth * (y1 + 2 * y2 + 2 * y3 + y4);
        z += sixth * (z1 + 2 * z2 + 2 * z3 + z4);
    }
    *px = x, *py = y, *pz = z;
}

void attractor(REAL **a, const long *n)
{
    for (int i = 0; i < 3; i++)
        a[3 + i][0] = a[i][0];
    many_steps(a[3], a[4], a[5], n[0]);
}

void vector_attractor(REAL **a, const long *n)
{
    for (int i = 0; i < 3; i++)
        a[1][i] = a[0][i];
    many_steps(a[1], a[1] + 1, a[1] + 2, n[0]);
}

/* cr, ci, counts; so many points at once as two vectors hold, until all of them have escaped */
#define POINTS 16

void mandelbrot(REAL **a, const long *n)
{
#pragma omp parallel for schedule(dynamic, 64) if (parallel : n[0] >= 1L << 12)
    for (long from = 0; from < n[0]; from += POINTS) {
        long points = n[0] - from < POINTS ? n[0] - from : POINTS;
        REAL cr[POINTS] = {0}, ci[POINTS] = {0}, zr[POINTS] = {0}, zi[POINTS] = {0}, counts[POINTS] = {0};
        for (long i = 0; i < points; i++)
            cr[i] = a[0][from + i], ci[i] = a[1][from + i];
        for (int round = 0; round < ROUNDS; round++) {
            REAL inside = 0;
#pragma omp simd reduction(+ : inside)
            for (int i = 0; i < POINTS; i++) {
                REAL rr = zr[i] * zr[i], ii = zi[i] * zi[i];
                REAL stays = rr + ii <= C(ESCAPED) ? C(1) : C(0);
                zi[i] = stays != 0 ? 2 * zr[i] * zi[i] + ci[i] : zi[i];
                zr[i] = stays != 0 ? rr - ii + cr[i] : zr[i];
                counts[i] += stays;
                inside += stays;
            }
            if (inside == 0)
                break;
        }
        for (long i = 0; i < points; i++)
            a[2][from + i] = counts[i];
    }
}

static REAL mean_of_squares(const REAL *restrict h, REAL *restrict g, long count)
{
    REAL total = 0;
#pragma omp simd reduction(+ : total)
    for (long i = 0; i < count; i++) {
        total += h[i] * h[i];
        g[i] = C(2) / count * h[i];
    }
    return total / count;
}

static void clear(REAL *restrict x, long count)
{
    for (long i = 0; i < count; i++)
        x[i] = 0;
}

/* x, wx, wh, b; loss, gradients of wx, wh, b; scratch: states (time + 1), inner gradients (time), g */
void rnn(REAL **a, const long *n)
{
    long time = n[0], batch = n[1], width = n[2], size = batch * width;
    REAL *x = a[0], *wx = a[1], *wh = a[2], *b = a[3], *states = a[8], *inner = a[9], *g = a[10];
    clear(states, size);
    product_of('N', 'N', time * batch, width, width, 1, x, wx, 0, states + size);
    add_bias(states + size, b, time * batch, width);
    for (long t = 0; t < time; t++) {
        REAL *restrict h = states + (t + 1) * size;
        part_of_product('N', 'N', batch, width, width, 1, states + t * size, width, wh, width, 1, h, width);
#pragma omp simd
        for (long i = 0; i < size; i++)
            h[i] = TANH(h[i]);
    }
    a[4][0] = mean_of_squares(states + time * size, g, size);
    for (long t = time - 1; t >= 0; t--) {
        const REAL *restrict h = states + (t + 1) * size;
        REAL *restrict d = inner + t * size;
#pragma omp simd
        for (long i = 0; i < size; i++)
            d[i] = g[i] * (1 - h[i] * h[i]);
        part_of_product('N', 'T', batch, width, width, 1, d, width, wh, width, 0, g, width);
    }
    product_of('T', 'N', width, width, time * batch, 1, x, inner, 0, a[5]);
    product_of('T', 'N', width, width, time * batch, 1, states, inner, 0, a[6]);
    clear(a[7], width);
    sum_rows(inner, a[7], 1, time * batch, width);
}

static REAL sigmoid(REAL x)
{
    return C(1) / (C(1) + EXP(-x));
}

/* x, wx, wh, b, bh; loss, gradients of wx, wh, b, bh; scratch: states (time + 1), gates (3 widths a row and time),
   products of the candidate (time), outer and inner gradients (3 widths), g, the product of a time */
void gru(REAL **a, const long *n)
{
    long time = n[0], batch = n[1], width = n[2], size = batch * width, wide = 3 * width;
    REAL *x = a[0], *wx = a[1], *wh = a[2], *b = a[3], *bh = a[4], *states = a[10], *gates = a[11], *candidates = a[12];
    REAL *outer = a[13], *inner = a[14], *g = a[15], *made = a[16];
    clear(states, size);
    product_of('N', 'N', time * batch, wide, width, 1, x, wx, 0, gates);
    add_bias(gates, b, time * batch, wide);
    for (long t = 0; t < time; t++) {
        part_of_product('N', 'N', batch, wide, width, 1, states + t * size, width, wh, wide, 0, made, wide);
        for (long i = 0; i < batch; i++) {
            REAL *restrict gate = gates + (t * batch + i) * wide, *restrict product = candidates + t * size + i * width;
            const REAL *restrict m = made + i * wide, *restrict h = states + t * size + i * width;
            REAL *restrict next = states + (t + 1) * size + i * width;
#pragma omp simd
            for (long j = 0; j < width; j++) {
                REAL z = sigmoid(gate[j] + m[j] + bh[j]), r = sigmoid(gate[width + j] + m[width + j] + bh[width + j]);
                product[j] = m[2 * width + j] + bh[2 * width + j];
                REAL candidate = TANH(gate[2 * width + j] + r * product[j]);
                gate[j] = z, gate[width + j] = r, gate[2 * width + j] = candidate;
                next[j] = z * h[j] + (1 - z) * candidate;
            }
        }
    }
    a[5][0] = mean_of_squares(states + time * size, g, size);
    for (long t = time - 1; t >= 0; t--) {
        for (long i = 0; i < batch; i++) {
            const REAL *restrict gate = gates + (t * batch + i) * wide, *restrict h = states + t * size + i * width;
            const REAL *restrict product = candidates + t * size + i * width;
            REAL *restrict o = outer + (t * batch + i) * wide, *restrict p = inner + (t * batch + i) * wide;
            REAL *restrict back = g + i * width;
#pragma omp simd
            for (long j = 0; j < width; j++) {
                REAL z = gate[j], r = gate[width + j], candidate = gate[2 * width + j];
                REAL gc = back[j] * (1 - z) * (1 - candidate * candidate);
                p[j] = o[j] = back[j] * (h[j] - candidate) * z * (1 - z);
                p[width + j] = o[width + j] = gc * product[j] * r * (1 - r);
                o[2 * width + j] = gc, p[2 * width + j] = gc * r;
                back[j] *= z;
            }
        }
        part_of_product('N', 'T', batch, width, wide, 1, inner + t * batch * wide, wide, wh, wide, 1, g, width);
    }
    product_of('T', 'N', width, wide, time * batch, 1, x, outer, 0, a[6]);
    product_of('T', 'N', width, wide, time * batch, 1, states, inner, 0, a[7]);
    clear(a[8], wide);
    sum_rows(outer, a[8], 1, time * batch, wide);
    clear(a[9], wide);
    sum_rows(inner, a[9], 1, time * batch, wide);
}
