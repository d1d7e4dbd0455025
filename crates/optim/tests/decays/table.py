"""Writes table.csv: what each rule gives in 60 digits, for decays from 0 to almost 1. Run here: python3 table.py"""
from mpmath import mp, mpf, sqrt, log

mp.dps = 60
STEPS, LR, EPS = 60, mpf(2) ** -10, mpf(2) ** -27
GRADIENTS = [mpf((t * 7) % 11 - 4) / 8 for t in range(STEPS)]
BETAS = [0.0, 0.3, 0.5, 0.9, 0.999, 0.99999, 0.9999999, 0.99999999, 1 - 1e-12]
FIRST = [0.0, 0.3, 0.9, 0.99999999]


def means(b1, b2):
    m = v = mpf(0)
    for t, g in enumerate(GRADIENTS, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        yield t, g, m, v


def adam(b1, b2):
    for t, g, m, v in means(b1, b2):
        yield m / (1 - b1**t) / (sqrt(v / (1 - b2**t)) + EPS)


def adam_keras(b1, b2):
    for t, g, m, v in means(b1, b2):
        yield m / (1 - b1**t) * sqrt(1 - b2**t) / (sqrt(v) + EPS)


def amsgrad(b1, b2):
    largest = mpf(0)
    for t, g, m, v in means(b1, b2):
        largest = max(largest, v)
        yield m / (1 - b1**t) / (sqrt(largest / (1 - b2**t)) + EPS)


def nadam(b1, b2):
    product = mpf(1)
    mu = lambda t: b1 * (1 - mpf(1) / 2 * mpf("0.96") ** (t * mpf(2) ** -8))
    for t, g, m, v in means(b1, b2):
        product *= mu(t)
        u = (1 - mu(t)) / (1 - product) * g + mu(t + 1) / (1 - product * mu(t + 1)) * m
        yield u / (sqrt(v / (1 - b2**t)) + EPS)


def radam(b1, b2):
    for t, g, m, v in means(b1, b2):
        limit = 2 / (1 - b2) - 1
        rho = limit - 2 * t * b2**t / (1 - b2**t)
        u = m / (1 - b1**t)
        if rho > 5:
            r = sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            u *= r * sqrt(1 - b2**t) / (sqrt(v) + EPS)
        yield u


def adamax(b1, b2):
    n = mpf(0)
    for t, g, m, v in means(b1, b2):
        n = max(b2 * n, abs(g) + EPS)
        yield m / (1 - b1**t) / n


def rmsprop(_, b2):
    for t, g, m, v in means(b2, b2):
        yield g / (sqrt(v) + EPS)


def centered(_, b2):
    for t, g, m, v in means(b2, b2):
        yield g / (sqrt(v - m * m) + EPS * 2**20)


def adadelta(_, b2):
    s = mpf(0)
    for t, g, m, v in means(b2, b2):
        d = g * sqrt((s + EPS) / (v + EPS))
        s = b2 * s + (1 - b2) * d * d
        yield d


def momentum(_, b2):
    b = mpf(0)
    for g in GRADIENTS:
        b = b2 * b + g
        yield b


def nesterov(_, b2):
    b = mpf(0)
    for g in GRADIENTS:
        b = b2 * b + g
        yield g + b2 * b


def dampened(_, b2):
    b = mpf(0)
    for t, g in enumerate(GRADIENTS):
        b = b2 * b + (g if t == 0 else (1 - b2) * g)
        yield b


def average(_, b2):
    for t, g, m, v in means(b2, b2):
        yield m / (1 - b2**t)


both = [adam, adam_keras, amsgrad, nadam, radam, adamax]
single = [rmsprop, centered, adadelta, momentum, nesterov, dampened, average]
with open("table.csv", "w") as table:
    table.write("rule,beta1,beta2,moved,path\n")
    for rule in both + single:
        for b1 in FIRST if rule in both else [0.0]:
            for b2 in BETAS:
                if rule in (nesterov, momentum, dampened) and b2 == 0.0 or rule is centered and b2 == 0.0:
                    continue
                u = list(rule(mpf(b1), mpf(b2)))
                moved = u[-1] if rule is average else -LR * sum(u)
                path = max(map(abs, GRADIENTS)) if rule is average else LR * sum(map(abs, u))
                table.write(f"{rule.__name__},{b1!r},{b2!r},{mp.nstr(moved, 17)},{mp.nstr(path, 3)}\n")
