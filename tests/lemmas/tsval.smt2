; Time does not run backwards for the host, whatever two clocks say (RFC 7323 5.3), for stamps that
; are comparable at all.
; BROKEN: s/(ite (bvslt/(ite (bvult/
(declare-const highest Num) (declare-const tsval Num)
(assert (not (= (bvsub tsval highest) #x80000000)))
(define-fun shown () Num (merged_tsval highest tsval))
(assert (not (and (bvsge (bvsub shown highest) #x00000000)
                  (bvsge (bvsub shown tsval) #x00000000))))
