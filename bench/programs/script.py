# What Python programs do: dictionaries, lists, strings, classes, generators,
# calls. No modules: those that are not written in Python are not all here.


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)

    def length(self):
        return (self.x * self.x + self.y * self.y) ** 0.5


def primes():
    found = []
    n = 2
    while True:
        if all(n % p for p in found if p * p <= n):
            found.append(n)
            yield n
        n += 1


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    count = 0
    free = ~(columns | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free ^= bit
        count += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return count


def words():
    state = 1
    text = []
    for _ in range(4000):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        text.append("".join(chr(97 + (state >> s) % 7) for s in (16, 13, 10)))
    count = {}
    for w in " ".join(text).split():
        count[w] = count.get(w, 0) + 1
    return sorted(count.items(), key=lambda item: (-item[1], item[0]))[:5]


def walk():
    at = Point(0, 0)
    for i in range(3000):
        at += Point(i % 7 - 3, i % 5 - 1)
    return at.length()


def sift():
    numbers = [i * 7919 % 10007 for i in range(10000)]
    numbers.sort()
    return sum(x for i, x in enumerate(numbers) if i % 3 == 0)


generator = primes()
print([next(generator) for _ in range(600)][-1])
print(fib(18), queens(7), words(), sift())
print("%.6f" % walk(), 3**500 % 1000003)
