; The urgent pointer is relative to the sequence number; moved with it, it points to the same byte.
; BROKEN: s/(define-fun moved () Num (bvsub up to))/(define-fun moved () Num (bvsub to up))/
(declare-const seq Num) (declare-const urgent Num) (declare-const to Num)
(define-fun up () Num (bvadd seq urgent))
(define-fun moved () Num (bvsub up to))
(assert (after up to))
(assert (not (and (= (bvadd to moved) up) (bvsgt moved #x00000000))))
