# The master of the notebook, in percent format. Text cells stand in every language of the course under one id.

# %% [markdown] id="goal" lang="en"
# # How fast, and at what price?
#
# You will measure two pieces of work, place them under the roof, and work out what they cost in credits and in energy.
# Run the cells from top to bottom with **Shift + Enter**. Everything works without a GPU too: the figures are then those of the processor.

# %% [markdown] id="goal" lang="fr"
# # À quelle vitesse, et à quel prix ?
#
# Vous allez mesurer deux travaux, les placer sous le toit, et calculer ce qu’ils coûtent en crédits et en énergie.
# Exécutez les cellules de haut en bas avec **Maj + Entrée**. Tout fonctionne aussi sans GPU : les chiffres sont alors ceux du processeur.

# %% [markdown] id="goal" lang="ar"
# # بأي سرعة، وبأي ثمن؟
#
# ستقيس عملين، وتضعهما تحت السقف، وتحسب كلفتهما بالنقاط وبالطاقة.
# شغّل الخلايا من الأعلى إلى الأسفل بالمفتاحين **Shift + Enter**. يعمل كل شيء دون معالج رسومي أيضًا، وتكون الأرقام عندئذ أرقام المعالج المركزي.

# %% [markdown] id="library-text" lang="en"
# ## 1. What is here?
#
# The cell looks for a GPU and a library that can use it, and falls back to NumPy. Look at what it prints: all figures below belong to that device.

# %% [markdown] id="library-text" lang="fr"
# ## 1. De quoi dispose-t-on ?
#
# La cellule cherche un GPU et une bibliothèque capable de s’en servir, et se rabat sinon sur NumPy. Regardez ce qu’elle affiche : tous les chiffres plus bas sont ceux de cette machine.

# %% [markdown] id="library-text" lang="ar"
# ## 1. ماذا عندنا؟
#
# تبحث الخلية عن معالج رسومي ومكتبة تستطيع استعماله، وإلا عادت إلى NumPy. انظر ما تطبعه، فكل الأرقام أدناه تخص هذا الجهاز.

# %% id="library"
import platform

import numpy


class Cpu:
    """NumPy on the processor: the fallback that is always there."""

    name = f"CPU, NumPy {numpy.__version__}, {platform.machine()}"
    is_gpu = False

    @staticmethod
    def random(*shape):
        return numpy.random.default_rng(0).random(shape, dtype=numpy.float32)

    @staticmethod
    def empty(*shape):
        return numpy.empty(shape, dtype=numpy.float32)

    @staticmethod
    def add(a, b, out):
        numpy.add(a, b, out=out)

    @staticmethod
    def multiply(a, b, out):
        numpy.matmul(a, b, out=out)

    @staticmethod
    def wait():
        pass

    @staticmethod
    def send(array):
        return array


def cupy_device():
    """Return CuPy on a GPU, or None."""
    try:
        import cupy
        if cupy.cuda.runtime.getDeviceCount() == 0:
            return None
    except Exception:  # no library, no driver or no card: all mean "no GPU"
        return None

    class Gpu(Cpu):
        name = f"GPU, CuPy {cupy.__version__}, {cupy.cuda.runtime.getDeviceProperties(0)['name'].decode()}"
        is_gpu = True
        random = staticmethod(lambda *shape: cupy.random.random(shape, dtype=cupy.float32))
        empty = staticmethod(lambda *shape: cupy.empty(shape, dtype=cupy.float32))
        add = staticmethod(lambda a, b, out: cupy.add(a, b, out=out))
        multiply = staticmethod(lambda a, b, out: cupy.matmul(a, b, out=out))
        wait = staticmethod(lambda: cupy.cuda.Device().synchronize())
        send = staticmethod(cupy.asarray)

    return Gpu


def torch_device():
    """Return PyTorch on a GPU, or None."""
    try:
        import torch
        if not torch.cuda.is_available():
            return None
    except Exception:
        return None

    class Gpu(Cpu):
        name = f"GPU, PyTorch {torch.__version__}, {torch.cuda.get_device_name(0)}"
        is_gpu = True
        random = staticmethod(lambda *shape: torch.rand(shape, device="cuda"))
        empty = staticmethod(lambda *shape: torch.empty(shape, device="cuda"))
        add = staticmethod(lambda a, b, out: torch.add(a, b, out=out))
        multiply = staticmethod(lambda a, b, out: torch.matmul(a, b, out=out))
        wait = staticmethod(torch.cuda.synchronize)
        send = staticmethod(lambda array: torch.from_numpy(array).to("cuda"))

    return Gpu


device = cupy_device() or torch_device() or Cpu
print(device.name)

# %% [markdown] id="stopwatch-text" lang="en"
# ## 2. A stopwatch that can be trusted
#
# Warm-up first, wait for the device, repeat, median and spread. It is the function of the lesson.

# %% [markdown] id="stopwatch-text" lang="fr"
# ## 2. Un chronomètre digne de confiance
#
# Une mise en train, l’attente de la machine, des répétitions, puis la médiane et la dispersion : c’est la fonction de la leçon.

# %% [markdown] id="stopwatch-text" lang="ar"
# ## 2. ساعة توقيت موثوقة
#
# إحماء أولًا، ثم انتظار الجهاز، ثم تكرار، ثم الوسيط والتشتت. إنها دالة الدرس.

# %% id="stopwatch"
import time
from statistics import median


def measure(work, repeat=7):
    """Return median and spread of a piece of work on the device, in seconds."""
    for _ in range(2):
        work()
    device.wait()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        device.wait()
        times.append(time.perf_counter() - start)
    times.sort()
    return median(times), times[-2] - times[1]

# %% [markdown] id="bandwidth-text" lang="en"
# ## 3. How fast does memory deliver?
#
# Adding two long vectors moves twelve bytes for each result. Divide the bytes by the time. Small vectors fit into the caches and look faster than memory is, or they are over before the device has started: trust the last lines.

# %% [markdown] id="bandwidth-text" lang="fr"
# ## 3. À quelle vitesse la mémoire livre-t-elle ?
#
# Additionner deux longs vecteurs déplace douze octets par résultat. Divisez les octets par le temps. Les petits vecteurs tiennent dans les caches et paraissent plus rapides que la mémoire, ou bien ils sont finis avant que la machine ait démarré : fiez-vous aux dernières lignes.

# %% [markdown] id="bandwidth-text" lang="ar"
# ## 3. بأي سرعة تسلّم الذاكرة؟
#
# جمع متجهين طويلين ينقل اثني عشر بايتًا لكل نتيجة. اقسم عدد البايتات على الزمن. المتجهات القصيرة تسعها الذاكرة المخبئية فتبدو أسرع من الذاكرة نفسها، أو تنتهي قبل أن يبدأ الجهاز: ثق بالأسطر الأخيرة.

# %% id="bandwidth"
sizes = [10_000, 100_000, 1_000_000, 10_000_000, 30_000_000]
if device.is_gpu:
    sizes.append(100_000_000)

print(f"{'n':>12} {'ms':>9} {'± ms':>8} {'GB/s':>9}")
for n in sizes:
    a, b, out = device.random(n), device.random(n), device.empty(n)
    seconds, spread = measure(lambda: device.add(a, b, out))
    bandwidth = 12 * n / seconds
    print(f"{n:>12,} {seconds * 1e3:>9.3f} {spread * 1e3:>8.3f} {bandwidth / 1e9:>9.1f}")

# %% [markdown] id="product-text" lang="en"
# ## 4. How fast does it compute?
#
# A product of two matrices needs $2n^3$ operations for $12n^2$ bytes. Watch how the rate rises with $n$.

# %% [markdown] id="product-text" lang="fr"
# ## 4. À quelle vitesse calcule-t-elle ?
#
# Un produit de deux matrices demande $2n^3$ opérations pour $12n^2$ octets. Observez comment la vitesse croît avec $n$.

# %% [markdown] id="product-text" lang="ar"
# ## 4. بأي سرعة يحسب؟
#
# يحتاج ضرب مصفوفتين إلى $2n^3$ عملية مقابل $12n^2$ بايتًا. لاحظ كيف ترتفع السرعة مع $n$.

# %% id="product"
orders = [128, 256, 512, 1024]
if device.is_gpu:
    orders += [4096, 8192]

peak = 0.0
print(f"{'n':>6} {'ms':>9} {'GFLOP/s':>10} {'FLOP/byte':>10}")
for n in orders:
    a, b, out = device.random(n, n), device.random(n, n), device.empty(n, n)
    seconds, spread = measure(lambda: device.multiply(a, b, out), repeat=5)
    rate = 2 * n**3 / seconds
    peak = max(peak, rate)
    print(f"{n:>6} {seconds * 1e3:>9.3f} {rate / 1e9:>10.1f} {n / 6:>10.1f}")

# %% [markdown] id="roof-text" lang="en"
# ## 5. Your roof
#
# With the bandwidth and the best rate that you measured, the bend of this device's roof lies at their ratio. A piece of work with a lower intensity is memory bound here.

# %% [markdown] id="roof-text" lang="fr"
# ## 5. Votre toit
#
# Avec le débit et la meilleure vitesse que vous avez mesurés, le coude du toit de cette machine se trouve à leur rapport. Un travail d’intensité plus faible est ici limité par la mémoire.

# %% [markdown] id="roof-text" lang="ar"
# ## 5. سقفك
#
# بعرض النطاق وأفضل سرعة قستهما يقع انعطاف سقف هذا الجهاز عند النسبة بينهما. وكل عمل أقل كثافة مقيد هنا بالذاكرة.

# %% id="roof"
def attainable(intensity):
    """Return the FLOP/s that the measured roof allows at an intensity."""
    return min(peak, bandwidth * intensity)


bend = peak / bandwidth
print(f"{bandwidth / 1e9:.1f} GB/s, {peak / 1e9:.1f} GFLOP/s, {bend:.1f} FLOP/byte")
for exponent in range(-4, 9):
    intensity = 2.0**exponent
    bar = "█" * round(50 * attainable(intensity) / peak)
    print(f"{intensity:>9.4g} FLOP/byte {attainable(intensity) / 1e9:>10.1f} GFLOP/s {bar}")

# %% [markdown] id="journey-text" lang="en"
# ## 6. The journey
#
# On a GPU this cell measures the way of the data to the card. On a processor there is no journey, and it says so.

# %% [markdown] id="journey-text" lang="fr"
# ## 6. Le voyage
#
# Sur un GPU, cette cellule mesure le trajet des données jusqu’à la carte. Sur un processeur, il n’y a pas de voyage, et elle le dit.

# %% [markdown] id="journey-text" lang="ar"
# ## 6. الرحلة
#
# تقيس هذه الخلية، على المعالج الرسومي، طريق البيانات إلى البطاقة. ولا رحلة على المعالج المركزي، وهي تقول ذلك.

# %% id="journey"
host = numpy.random.default_rng(1).random(25_000_000, dtype=numpy.float32)
if device.is_gpu:
    seconds, spread = measure(lambda: device.send(host))
    print(f"{host.nbytes / 1e6:.0f} MB: {seconds * 1e3:.1f} ms, {host.nbytes / seconds / 1e9:.1f} GB/s")
else:
    print(f"{host.nbytes / 1e6:.0f} MB: 0 ms (CPU)")

# %% [markdown] id="price-text" lang="en"
# ## 7. The price of a result
#
# Take the rate and the power from the lab's card in the portal. How many products of two 1024 × 1024 matrices does one credit buy here, and one watt-hour? The power is an estimate of the device at work; compare with the figure that the portal shows after the session.

# %% [markdown] id="price-text" lang="fr"
# ## 7. Le prix d’un résultat
#
# Reprenez le tarif et la puissance de la fiche du laboratoire dans le portail. Combien de produits de deux matrices 1024 × 1024 achète-t-on ici avec un crédit, et avec un wattheure ? La puissance est une estimation de la machine au travail ; comparez avec le chiffre que le portail affiche après la session.

# %% [markdown] id="price-text" lang="ar"
# ## 7. ثمن النتيجة
#
# خذ السعر والقدرة من بطاقة المختبر في البوابة. كم ضربًا لمصفوفتين 1024 × 1024 تشتري هنا نقطة واحدة؟ وكم يشتري واط ساعة واحد؟ القدرة تقدير للجهاز وهو يعمل، فقارنها بالرقم الذي تعرضه البوابة بعد الجلسة.

# %% id="price"
CREDITS_PER_HOUR = 4
POWER_W = 120

n = 1024
a, b, out = device.random(n, n), device.random(n, n), device.empty(n, n)
seconds, spread = measure(lambda: device.multiply(a, b, out))
credits = CREDITS_PER_HOUR * seconds / 3600
energy_wh = POWER_W * seconds / 3600
print(f"{seconds * 1e3:.3f} ms  {1 / credits:,.0f} / credit  {1 / energy_wh:,.0f} / Wh")

# %% [markdown] id="turn-text" lang="en"
# ## 8. Your turn
#
# Work out the intensity of the square root of a vector (one operation and eight bytes for each number), and what your roof allows. Then measure it with `measure` and compare: how many per cent of the roof do you reach? Write your code below.

# %% [markdown] id="turn-text" lang="fr"
# ## 8. À vous
#
# Calculez l’intensité de la racine carrée d’un vecteur (une opération et huit octets par nombre), et ce que permet votre toit. Mesurez-la ensuite avec `measure` et comparez : quel pourcentage du toit atteignez-vous ? Écrivez votre code ci-dessous.

# %% [markdown] id="turn-text" lang="ar"
# ## 8. دورك
#
# احسب كثافة الجذر التربيعي لمتجه (عملية واحدة وثمانية بايتات لكل عدد)، وما يسمح به سقفك. ثم قِسه بالدالة `measure` وقارن: كم في المئة من السقف تبلغ؟ اكتب شيفرتك أدناه.

# %% id="turn"
intensity = 1 / 8
print(f"{attainable(intensity) / 1e9:.1f} GFLOP/s")

# %% [markdown] id="end" lang="en"
# When you are done, save with **Ctrl + S** and stop the session in the portal: what is not used goes back to the course.

# %% [markdown] id="end" lang="fr"
# Quand vous avez terminé, enregistrez avec **Ctrl + S** et arrêtez la session dans le portail : ce qui n’est pas utilisé revient au cours.

# %% [markdown] id="end" lang="ar"
# إذا انتهيت فاحفظ عملك بالمفتاحين **Ctrl + S** وأوقف الجلسة من البوابة، فما لم يُستعمل يعود إلى الدرس.
